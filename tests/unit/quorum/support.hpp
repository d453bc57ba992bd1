// What the quorum disk's tests share: a directory of their own, a disk with faults, slots, decisions.
#pragma once

#include "clusterd/quorum/admin.hpp"
#include "clusterd/quorum/session.hpp"
#include "clusterd/wire/config_hash.hpp"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <unistd.h>

namespace clusterd::test {

class TempDir {
public:
    TempDir() {
        std::string name = (std::filesystem::temp_directory_path() / "clusterd-test-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
        path_ = name;
    }
    TempDir(TempDir const&) = delete;
    TempDir& operator=(TempDir const&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(std::string const& name) const { return path_ + "/" + name; }
    std::string const& path() const { return path_; }

private:
    std::string path_;
};

inline Key key_of(std::uint8_t v) {
    Key key;
    key.bytes.fill(v);
    return key;
}

inline ConfigPtr config_of(std::string xml) {
    auto config = std::make_shared<Config>();
    config->hash = hash_config(xml);
    config->xml = std::move(xml);
    return config;
}
inline Result<ConfigPtr> parse(std::string xml) {
    if (xml.find("unparsable") != std::string::npos) return Error{"line 1: unparsable"};
    return config_of(std::move(xml));
}

inline DecisionPtr decision_of(DecisionId id, ConfigPtr config, std::string const& cause = "") {
    auto d = std::make_shared<Decision>();
    d->id = id;
    d->cluster = {1, 2, 3};
    d->stores = {11, 12, 13};
    d->groups["web"].cause = cause;
    d->config = std::move(config);
    return d;
}

inline Slot slot_of(Incarnation incarnation, std::uint64_t beat, Role state = Role::seeking, Term alone = 0) {
    Slot s;
    s.incarnation = incarnation;
    s.beat = beat;
    s.state = state;
    s.alone_term = alone;
    return s;
}

inline std::string read_bytes(std::string const& path, std::uint64_t offset, std::size_t n) {
    std::ifstream in(path, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(offset));
    std::string out(n, '\0');
    in.read(out.data(), static_cast<std::streamsize>(n));
    return out;
}
inline void write_bytes(std::string const& path, std::uint64_t offset, std::string const& bytes) {
    std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(offset));
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) throw std::runtime_error("can't write " + path);
}
inline void flip_byte(std::string const& path, std::uint64_t offset) {
    std::string b = read_bytes(path, offset, 1);
    b[0] = static_cast<char>(~b[0]);
    write_bytes(path, offset, b);
}

// Faults of a disk, switched by the test while the disk's thread runs.
struct Faults {
    std::mutex mutex;
    std::condition_variable wake;
    int fail_reads = 0, fail_writes = 0;  // so many next ones; -1 = all
    bool lose_writes = false;             // taken and forgotten
    bool hang = false;
    int in_hang = 0;
    std::atomic<int> reads{0}, writes{0}, opens{0};

    void set_hang(bool on) {
        std::lock_guard const lock(mutex);
        hang = on;
        wake.notify_all();
    }
    bool wait_for_hang() {
        std::unique_lock lock(mutex);
        return wake.wait_for(lock, std::chrono::seconds(30), [this] { return in_hang > 0; });
    }
    void pass() {
        std::unique_lock lock(mutex);
        ++in_hang;
        wake.notify_all();
        if (hang) wake.wait(lock, [this] { return !hang; });
        --in_hang;
    }
    bool fails(int& count) {
        std::lock_guard const lock(mutex);
        if (count == 0) return false;
        if (count > 0) --count;
        return true;
    }
};

class FaultyDisk : public DiskFile {
public:
    FaultyDisk(std::unique_ptr<DiskFile> real, std::shared_ptr<Faults> faults) : real_(std::move(real)), faults_(std::move(faults)) { facts_ = real_->facts(); }
    Result<Done> read(std::uint64_t offset, BlockBuffer& into) override {
        ++faults_->reads;
        faults_->pass();
        if (faults_->fails(faults_->fail_reads)) return Error{"read: Input/output error"};
        return real_->read(offset, into);
    }
    Result<Done> write(std::uint64_t offset, BlockBuffer const& from) override {
        ++faults_->writes;
        faults_->pass();
        if (faults_->fails(faults_->fail_writes)) return Error{"write: Input/output error"};
        return faults_->lose_writes ? Result<Done>(Done{}) : real_->write(offset, from);
    }

private:
    std::unique_ptr<DiskFile> real_;
    std::shared_ptr<Faults> faults_;
};

inline DiskOpener faulty(std::shared_ptr<Faults> faults) {
    return [faults = std::move(faults)](std::string const& path, DiskAccess access) -> Result<std::unique_ptr<DiskFile>> {
        ++faults->opens;
        auto real = open_disk(path, access);
        if (!real) return real;
        return std::unique_ptr<DiskFile>(new FaultyDisk(std::move(*real), faults));
    };
}

// An initialised disk of the cluster `shop`.
inline DiskHeader make_disk(std::string const& path, std::string const& cluster = "shop", bool force = false) {
    auto report = quorum_init({path, cluster, force ? path : "", {}});
    if (!report) throw std::runtime_error(report.error());
    return report->header;
}

inline DiskSession::Settings settings_for(std::string const& path, NodeIndex self, DiskOpener opener = open_disk) {
    DiskSession::Settings s;
    s.path = path;
    s.cluster = "shop";
    s.self = self;
    s.key = key_of(7);
    s.parse_config = parse;
    s.opener = std::move(opener);
    return s;
}

}  // namespace clusterd::test
