// A share of the smbd that runs on this node. See share_server.hpp.
//
// Shares stand in one file below /run/samba that smb.conf includes, not in Samba's registry: it is replaced as a whole by a rename, and it is
// gone after a power cut, when a registry would go on offering the empty mount point. smbd reads it when it is told to; clients of other
// shares don't notice.
#include "resources/share_server.hpp"

#include "clusterd/guard/client/client.hpp"
#include "config/shares.hpp"
#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"
#include "resources/samba_words.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

namespace clusterd {
namespace {

constexpr Duration sessions_have = std::chrono::seconds(3);     // to close the share, before they are ended
constexpr Duration restart_takes = std::chrono::milliseconds(1500);  // systemctl restart smbd is no failure
constexpr Duration ask_every = std::chrono::seconds(15);       // that it answers
constexpr Duration ask_within = std::chrono::seconds(10);
constexpr Duration start_within = std::chrono::seconds(30);  // nothing is served meanwhile that could be somewhere else
constexpr auto look_again = std::chrono::milliseconds(100);
constexpr int glance_every_ms = 1000;
constexpr std::size_t all_output = 1u << 20;

std::string directory() {  // tests bring their own
    char const* const given = std::getenv("CLUSTERD_SAMBA_DIRECTORY");
    return given ? given : "/run/samba";
}
std::string configuration() {
    char const* const given = std::getenv("CLUSTERD_SMB_CONF");
    return given ? given : "/etc/samba/smb.conf";
}

std::optional<std::string> contents(std::string const& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class SambaShare final : public ShareServer {
public:
    SambaShare(ResourceSpec const& resource, DriverContext const& context)
        : name_(resource.name),
          context_(context),
          path_(Attributes(resource.attributes).text("path")),
          share_(share_name(resource.attributes, resource.name)),
          section_(samba_section(resource.attributes, resource.name)) {}
    ~SambaShare() override { forget_smbd(); }

    DriverOutcome look(Instant deadline) override {
        OneShot shot(context_.guard, context_.events);
        if (!contents(fragment()) && included().find(heading()) == std::string::npos) return offline();
        return examine(shot, deadline);
    }

    DriverOutcome add(Instant deadline) override {
        OneShot shot(context_.guard, context_.events);
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        auto const smbd = ping(shot, "start", deadline);
        if (!smbd) return failed(smbd.error());
        if (*smbd == 0) return {ResourceState::failed, say(not_installed_.empty() ? not_running : not_installed_), false};
        bool const ours = included().find(heading()) != std::string::npos;
        auto const before = effective(shot, "start", deadline);
        if (!before) return failed(before.error());
        if (*before && !ours)
            return {ResourceState::failed,
                    say(fmt::format("Samba's configuration has a share [{}] of its own on this node; remove it from {}, or give this one another name: share=\"...\"", share_, configuration())),
                    false};
        if (auto const written = write(section_); !written) return failed(written.error());
        if (auto const read = reload(shot, "start", deadline); !read) return failed(read.error());
        auto const after = effective(shot, "start", deadline);
        if (!after) return failed(after.error());
        if (!*after) {
            (void)write({});
            return {ResourceState::failed, say(not_included()), false};
        }
        if (auto const it = (*after)->find("path"); it == (*after)->end() || it->second != path_)
            return failed(fmt::format("another line of Samba's configuration says otherwise of share [{}]; see testparm -s --section-name={}", share_, share_));
        remember_smbd(*smbd);
        if (!unknown_parameter_.empty() && section_.find("\t" + unknown_parameter_ + " =") != std::string::npos)
            return {ResourceState::online, say("Samba doesn't know the parameter \"" + unknown_parameter_ + "\" of its options"), true};
        return online();
    }

    DriverOutcome remove(Instant deadline, bool by_force) override {
        OneShot shot(context_.guard, context_.events);
        forget_smbd();
        if (auto const written = write({}); !written) return unknown(written.error());
        Instant const force_from = by_force ? boot_now() : boot_now() + sessions_have;
        for (;;) {
            auto const left = sessions(shot, deadline);
            if (left && left->empty()) return offline();
            if (left && boot_now() >= force_from)
                for (int pid : *left)
                    if (is_smbd(pid)) ::kill(pid, by_force || boot_now() >= force_from + sessions_have ? SIGKILL : SIGTERM);
            if (boot_now() >= deadline && !left) return unknown(left.error());
            if (boot_now() >= deadline)
                return failed(fmt::format("{} of its clients' sessions won't end (smbd {}{})", left->size(), left->front(), left->size() > 1 ? ", ..." : ""));
            std::this_thread::sleep_for(look_again);
        }
    }

    void wait(int wake_fd) override {
        pollfd fds[] = {{wake_fd, POLLIN, 0}, {pidfd_, POLLIN, 0}};
        poll(fds, pidfd_ >= 0 ? 2 : 1, glance_every_ms);
    }

    DriverOutcome glance() override {
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        if (included().find(section_) == std::string::npos) return failed("it was removed from " + include_file() + "; somebody else has changed or deleted that file");
        pollfd died{pidfd_, POLLIN, 0};
        bool const alive = pidfd_ >= 0 && poll(&died, 1, 0) == 0;
        if (alive && configuration_as_was() && boot_now() < ask_again_) return online();
        // Also where it lives: an editor may be in the middle of writing smb.conf, and then none of Samba's programs can say anything.
        for (Instant const until = boot_now() + restart_takes;;) {
            DriverOutcome outcome = examine(*shot_, boot_now() + ask_within);
            if (outcome.state == ResourceState::online || boot_now() >= until) return outcome;
            std::this_thread::sleep_for(look_again);
        }
    }
    void allow_glances() override {
        std::lock_guard lock(mutex_);
        shot_ = std::make_unique<OneShot>(context_.guard, context_.events);
    }
    void cancel_glance() override {
        std::lock_guard lock(mutex_);
        if (shot_) shot_->cancel();
    }

private:
    static constexpr char not_running[] = "smbd isn't running on this node, or doesn't answer; run: systemctl start smbd (see journalctl -u smbd)";

    std::string say(std::string const& what) const { return fmt::format("share {} ({}): {}", share_, path_, what); }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), true}; }
    DriverOutcome unknown(std::string const& what) const { return {ResourceState::unknown, say(what), true}; }
    static DriverOutcome online() { return {ResourceState::online, {}, true}; }
    static DriverOutcome offline() { return {ResourceState::offline, {}, true}; }
    std::string not_included() const {
        return fmt::format("{} doesn't include the cluster's shares; on both nodes add the line \"include = {}\" to its section [global], then run: systemctl reload smbd",
                           configuration(), include_file());
    }

    // ---- the files

    static std::string include_file() { return directory() + "/clusterd.conf"; }
    static std::string fragments() { return directory() + "/clusterd"; }
    std::string fragment() const { return fragments() + "/" + name_ + ".conf"; }
    std::string heading() const { return "\n[" + share_ + "]\n"; }
    static std::string included() { return contents(include_file()).value_or(std::string()); }

    // One share's section is put there or (empty) taken away; all shares' are written anew. Several hosts may do that at a time.
    Result<Done> write(std::string const& section) const {
        auto const error = [](std::string const& what) { return Error{fmt::format("{} can't be written: {}; is Samba installed on this node?", what, std::strerror(errno))}; };
        if (section.empty() && !contents(fragment()) && included().find(heading()) == std::string::npos) return Done{};
        if (mkdir(fragments().c_str(), 0755) != 0 && errno != EEXIST) return error(fragments());
        int const lock = open(fragments().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock < 0 || flock(lock, LOCK_EX) != 0) return error(fragments());
        struct Closer {
            int fd;
            ~Closer() { close(fd); }
        } const closer{lock};
        if (section.empty()) {
            if (unlink(fragment().c_str()) != 0 && errno != ENOENT) return error(fragment());
        } else if (!replace(fragment(), section)) {
            return error(fragment());
        }
        std::vector<std::string> names, sections;
        std::error_code listing;
        for (auto const& entry : std::filesystem::directory_iterator(fragments(), listing))
            if (entry.path().extension() == ".conf") names.push_back(entry.path());
        if (listing) return Error{fmt::format("{} can't be listed: {}", fragments(), listing.message())};
        std::sort(names.begin(), names.end());
        for (std::string const& each : names) sections.push_back(contents(each).value_or(std::string()));
        if (!replace(include_file(), samba_include_file(sections))) return error(include_file());
        return Done{};
    }
    static bool replace(std::string const& path, std::string const& text) {
        std::string const fresh = path + ".new";
        std::ofstream out(fresh, std::ios::trunc);
        out << text << std::flush;
        bool const written = static_cast<bool>(out);
        out.close();
        return written && rename(fresh.c_str(), path.c_str()) == 0;
    }

    // ---- Samba's programs

    OneShotResult run(OneShot& shot, char const* kind, std::vector<std::string> argv, Instant deadline) const {
        if (std::getenv("CLUSTERD_SMB_CONF")) argv.insert(argv.begin() + 1, {"-s", configuration()});
        return shot.run(name_, kind, std::move(argv), {}, deadline);
    }
    static std::string said(char const* what, OneShotResult const& result) {
        switch (result.end) {
            case OneShotResult::End::not_run: return fmt::format("{} can't be run: {}; install the package samba on this node", what, result.error);
            case OneShotResult::End::too_late: return fmt::format("{} was not done in time", what);
            case OneShotResult::End::cancelled: return fmt::format("{} was broken off", what);
            case OneShotResult::End::exited: break;
        }
        return fmt::format("{} {}: {}", what, exit_in_words(result.wait_status), result.output);
    }

    // smbd's main process; 0: there is none, or none that answers. One that is there and slow has as long as the question may take: a busy machine
    // isn't a dead server.
    Result<int> ping(OneShot& shot, char const* kind, Instant deadline) {
        bool const starts = std::string_view(kind) == "start";
        Instant const until = std::min(deadline, boot_now() + (starts ? start_within : ask_within));
        not_installed_.clear();
        for (;;) {
            auto const result = run(shot, kind, {"smbcontrol", "-t", "3", "smbd", "ping"}, until);
            if (result.end == OneShotResult::End::not_run && lasting_start_error(result.error)) {
                not_installed_ = said("smbcontrol", result);
                return 0;
            }
            if (result.end != OneShotResult::End::exited) return Error{said("smbcontrol", result)};
            int const pid = pong_pid(result.output);
            if (pid != 0 || !has_no_reply(result.output) || boot_now() >= until) return pid;
        }
    }
    // Answered once its main process has read the configuration: it does what it is told one after the other.
    Result<Done> reload(OneShot& shot, char const* kind, Instant deadline) {
        auto const result = run(shot, kind, {"smbcontrol", "smbd", "reload-config"}, deadline);
        if (!result.succeeded()) return Error{said("smbcontrol smbd reload-config", result)};
        auto const smbd = ping(shot, kind, deadline);
        if (!smbd) return Error{smbd.error()};
        if (*smbd == 0) return Error{not_running};
        return Done{};
    }
    using Section = std::optional<std::map<std::string, std::string>>;
    Result<Section> effective(OneShot& shot, char const* kind, Instant deadline) {
        std::vector<std::string> argv{"testparm", "-s", "--section-name=" + share_};
        if (std::getenv("CLUSTERD_SMB_CONF")) argv.push_back(configuration());
        shot.keep(all_output);
        auto const result = shot.run(name_, kind, argv, {}, deadline);
        if (result.end != OneShotResult::End::exited) return Error{said("testparm", result)};
        unknown_parameter_ = testparm_unknown_parameter(result.output);
        Section section = testparm_section(result.output, share_);
        bool const none = !section && result.output.find("Unknown section") != std::string::npos;
        if (!section && !none) return Error{said("testparm", result)};
        return section;
    }

    // Its clients' sessions, once smbd was told to forget and to close the share: each of its processes does one after the other.
    Result<std::vector<int>> sessions(OneShot& shot, Instant deadline) {
        auto const read = run(shot, "stop", {"smbcontrol", "smbd", "reload-config"}, deadline);
        auto const closed = run(shot, "stop", {"smbcontrol", "smbd", "close-share", share_}, deadline);
        auto const smbd = ping(shot, "stop", deadline);
        if (!smbd) return Error{smbd.error()};
        if (*smbd == 0) return remnants();
        if (!read.succeeded()) return Error{said("smbcontrol smbd reload-config", read)};
        if (!closed.succeeded()) return Error{said("smbcontrol smbd close-share", closed)};
        shot.keep(all_output);
        auto const listed = run(shot, "stop", {"smbstatus", "-S"}, deadline);
        if (!listed.succeeded()) return Error{said("smbstatus -S", listed)};
        auto left = smbstatus_sessions(listed.output, share_);
        std::erase(left, *smbd);
        return left;
    }
    static bool is_smbd(int pid) { return contents(fmt::format("/proc/{}/comm", pid)).value_or("").starts_with("smbd"); }

    // smbd is dead or hangs: sessions of a dead one end by themselves, and until then may have files open.
    std::vector<int> remnants() const {
        std::vector<int> left;
        std::error_code error;
        for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
            int const pid = std::atoi(it->path().filename().c_str());
            if (pid > 1 && is_smbd(pid) && holds_directory(pid, path_)) left.push_back(pid);
        }
        return left;
    }

    // It is said to be here: is it?
    DriverOutcome examine(OneShot& shot, Instant deadline) {
        auto const smbd = ping(shot, "status", deadline);
        if (!smbd) return unknown(smbd.error());
        if (*smbd == 0) return failed(not_running);
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        if (included().find(section_) == std::string::npos) return failed("it stands otherwise in " + include_file() + " than the configuration says");
        remember_configuration();
        auto const section = effective(shot, "status", deadline);
        if (!section) return unknown(section.error());
        if (!*section) return failed(not_included());
        remember_smbd(*smbd);
        return online();
    }

    // ---- what a glance compares with

    void remember_smbd(int pid) {
        forget_smbd();
        pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
        remember_configuration();
        ask_again_ = boot_now() + ask_every;
    }
    void forget_smbd() {
        if (pidfd_ >= 0) close(pidfd_);
        pidfd_ = -1;
    }
    void remember_configuration() {
        if (stat(configuration().c_str(), &configuration_) != 0) configuration_ = {};
    }
    bool configuration_as_was() const {
        struct stat now {};
        if (stat(configuration().c_str(), &now) != 0) now = {};
        return now.st_ino == configuration_.st_ino && now.st_size == configuration_.st_size && now.st_mtim.tv_sec == configuration_.st_mtim.tv_sec &&
               now.st_mtim.tv_nsec == configuration_.st_mtim.tv_nsec;
    }

    std::string const name_;
    DriverContext const& context_;
    std::string const path_, share_, section_;
    std::string unknown_parameter_, not_installed_;
    int pidfd_ = -1;
    struct stat configuration_ {};
    Instant ask_again_{};
    std::mutex mutex_;
    std::unique_ptr<OneShot> shot_;
};

}  // namespace

ShareServerPtr make_samba_share(ResourceSpec const& resource, DriverContext const& context) {
    return std::make_unique<SambaShare>(resource, context);
}

}  // namespace clusterd
