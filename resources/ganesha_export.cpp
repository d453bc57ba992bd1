// An export of the nfs-ganesha that runs on this node. See share_server.hpp.
#include "resources/share_server.hpp"

#include "config/shares.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/ganesha_bus.hpp"
#include "resources/nfs_words.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace clusterd {
namespace {

constexpr int glance_every_ms = 2000;
constexpr Duration ask_within = std::chrono::seconds(5);
constexpr auto look_again = std::chrono::milliseconds(50);

std::string directory() {  // tests bring their own
    char const* const given = std::getenv("CLUSTERD_EXPORTS_DIRECTORY");
    return given ? given : "/run/clusterd/exports";
}

bool program_runs(std::string_view name) {
    std::error_code error;
    for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
        if (std::atoi(it->path().filename().c_str()) <= 0) continue;
        std::ifstream file(it->path() / "comm");
        std::string comm;
        if (std::getline(file, comm) && comm == name) return true;
    }
    return false;
}

class Export final : public ShareServer {
public:
    Export(ResourceSpec const& resource, DriverContext const&)
        : name_(resource.name),
          attributes_(resource.attributes),
          path_(Attributes(attributes_).text("path")),
          pseudo_(share_name(attributes_, name_)),
          id_(export_id(attributes_, name_)),
          grace_(Attributes(attributes_).yes("grace")) {}

    DriverOutcome look(Instant deadline) override {
        auto bus = GaneshaBus::connect(deadline);
        // Without a bus there is no nfs-ganesha that it could have been added to.
        if (!bus) return program_runs("ganesha.nfsd") ? unknown(bus.error()) : offline();
        return look_with(**bus);
    }

    DriverOutcome add(Instant deadline) override {
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        auto bus = GaneshaBus::connect(deadline);
        if (!bus) return {ResourceState::failed, say(bus.error()), false};
        auto const runs = (*bus)->runs();
        if (!runs) return failed(runs.error());
        if (!*runs) return {ResourceState::failed, say(not_running), false};
        // One that is there may have been added with other settings.
        auto const present = find(**bus);
        if (!present) return failed(present.error());
        if (*present == Found::other) return {ResourceState::failed, say(taken_), false};
        if (*present == Found::ours)
            if (auto const removed = (*bus)->remove(id_); !removed) return failed(removed.error());
        std::error_code error;
        std::filesystem::create_directories(directory(), error);
        std::ofstream out(file(), std::ios::trunc);
        out << ganesha_export_block(attributes_, name_) << std::flush;
        if (error || !out) return failed(fmt::format("{} can't be written: {}", file(), std::strerror(errno)));
        if (grace_)  // before anybody can take a lock that another client is to reclaim
            if (auto const begun = (*bus)->grace(name_); !begun) return failed(begun.error());
        if (auto const added = (*bus)->add(file(), id_); !added) return failed(added.error() + "; see its log, and the block in " + file());
        auto const now = find(**bus);
        if (!now) return failed(now.error());
        if (*now != Found::ours) return failed("nfs-ganesha says that it has added it, and doesn't list it");
        return online();
    }

    DriverOutcome remove(Instant deadline, bool) override {
        watched_.reset();
        auto bus = GaneshaBus::connect(deadline);
        if (!bus) return program_runs("ganesha.nfsd") ? unknown(bus.error()) : gone();
        for (std::string why;;) {
            auto const runs = (*bus)->runs();
            if (!runs) return unknown(runs.error());
            if (!*runs) return gone();
            auto const present = find(**bus);
            if (!present) return unknown(present.error());
            if (*present != Found::ours) {
                auto const held = still_held(**bus);
                if (!held) return unknown(held.error());
                if (!*held) return gone();
                why = "nfs-ganesha has removed it, and still has files of it open";
            } else if (auto const removed = (*bus)->remove(id_); !removed) {
                why = removed.error();
            } else {
                continue;
            }
            if (boot_now() >= deadline) return failed(why);
            std::this_thread::sleep_for(look_again);
        }
    }

    void wait(int wake_fd) override {
        if (!watched_)
            if (auto bus = GaneshaBus::connect(boot_now() + ask_within)) watched_ = std::move(*bus);
        if (watched_ && watched_->wait_for_change(wake_fd, glance_every_ms)) return;
        if (watched_) return watched_.reset();
        pollfd woken{wake_fd, POLLIN, 0};
        poll(&woken, 1, glance_every_ms);
    }
    DriverOutcome glance() override {
        Instant const until = boot_now() + ask_within;
        if (!watched_) {
            auto bus = GaneshaBus::connect(until);
            if (!bus) return unknown(bus.error());
            watched_ = std::move(*bus);
        }
        watched_->deadline(until);
        DriverOutcome outcome = look_with(*watched_);
        if (outcome.state == ResourceState::offline) outcome = failed(runs_ ? fmt::format("export {} has vanished from nfs-ganesha: removed by somebody, or nfs-ganesha was restarted", id_) : not_running);
        if (outcome.state == ResourceState::unknown) watched_.reset();
        return outcome;
    }

private:
    static constexpr char not_running[] = "nfs-ganesha isn't running on this node; run: systemctl start nfs-ganesha (see journalctl -u nfs-ganesha)";
    enum class Found { none, ours, other };

    std::string say(std::string const& what) const { return fmt::format("export {} ({}): {}", pseudo_, path_, what); }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), true}; }
    DriverOutcome unknown(std::string const& what) const { return {ResourceState::unknown, say(what), true}; }
    static DriverOutcome online() { return {ResourceState::online, {}, true}; }
    static DriverOutcome offline() { return {ResourceState::offline, {}, true}; }
    std::string file() const { return directory() + "/" + name_ + ".conf"; }
    DriverOutcome gone() const {
        std::error_code error;
        std::filesystem::remove(file(), error);
        return offline();
    }

    DriverOutcome look_with(GaneshaBus& bus) {
        auto const runs = bus.runs();
        if (!runs) return unknown(runs.error());
        runs_ = *runs;
        if (!*runs) return offline();
        auto const present = find(bus);
        if (!present) return unknown(present.error());
        if (*present != Found::ours) return offline();
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        return online();
    }

    Result<Found> find(GaneshaBus& bus) {
        auto const all = bus.exports();
        if (!all) return Error{all.error()};
        if (std::none_of(all->begin(), all->end(), [this](GaneshaExport const& e) { return e.id == id_; })) return Found::none;
        auto const path = bus.path_of(id_);
        if (!path) return Error{path.error()};
        std::error_code error;
        if (*path == path_ || std::filesystem::exists(file(), error)) return Found::ours;  // the latter: as it was before the configuration changed
        taken_ = fmt::format("nfs-ganesha has an export {} of its own on this node ({}); remove it from ganesha.conf, or give this one another number: "
                             "export-id=\"...\"",
                             id_, *path);
        return Found::other;
    }

    // Files of another export of the same directory, or of one within or around it, are that one's.
    Result<bool> still_held(GaneshaBus& bus) const {
        auto const all = bus.exports();
        if (!all) return Error{all.error()};
        for (GaneshaExport const& e : *all) {
            if (e.id == 0) continue;
            auto const path = bus.path_of(e.id);
            if (path && (lies_in(*path, path_) || lies_in(path_, *path))) return false;
        }
        auto const pid = bus.pid();
        if (!pid) return Error{pid.error()};
        return holds_directory(*pid, path_);
    }

    std::string const name_;
    std::map<std::string, std::string> const attributes_;
    std::string const path_, pseudo_;
    int const id_;
    bool const grace_;
    bool runs_ = false;   // of the last look
    std::string taken_;   // of the last find
    std::unique_ptr<GaneshaBus> watched_;
};

}  // namespace

ShareServerPtr make_ganesha_export(ResourceSpec const& resource, DriverContext const& context) {
    return std::make_unique<Export>(resource, context);
}

}  // namespace clusterd
