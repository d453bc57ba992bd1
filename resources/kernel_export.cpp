// An export of the kernel's NFS server. See share_server.hpp.
#include "resources/share_server.hpp"

#include "config/values.hpp"
#include "resources/attributes.hpp"
#include "resources/nfs_words.hpp"
#include "resources/one_shot.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

constexpr int glance_every_ms = 2000;

std::string from_environment(char const* name, char const* otherwise) {  // tests bring their own
    char const* const given = std::getenv(name);
    return given ? given : otherwise;
}
std::string control() { return from_environment("CLUSTERD_NFSD", "/proc/fs/nfsd"); }
std::string etab() { return from_environment("CLUSTERD_ETAB", "/var/lib/nfs/etab"); }

class Export final : public ShareServer {
public:
    Export(ResourceSpec const& resource, DriverContext const& context)
        : name_(resource.name), context_(context), attributes_(resource.attributes), path_(Attributes(attributes_).text("path")) {}

    DriverOutcome look(Instant) override {
        if (access((control() + "/threads").c_str(), F_OK) != 0) return offline();  // there is no such server in this kernel
        auto const exported = clients();
        if (exported.empty()) return offline();
        if (threads() == 0) return failed(not_running);
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        std::size_t const wanted = exportfs_commands(attributes_, name_).size();
        if (exported.size() < wanted) return failed(fmt::format("it is exported to {} of its {} clients; see exportfs -v", exported.size(), wanted));
        return online();
    }

    DriverOutcome add(Instant deadline) override {
        if (auto const why = why_no_directory(path_); !why.empty()) return failed(why);
        if (threads() == 0) return {ResourceState::failed, say(not_running), false};
        for (auto const& command : exportfs_commands(attributes_, name_)) {
            auto const result = run("start", command, deadline);
            if (!result.succeeded()) return {ResourceState::failed, say(said(command, result)), !lasting_start_error(result.error)};
        }
        return look(deadline);
    }

    DriverOutcome remove(Instant deadline, bool) override {
        for (KernelExport const& e : clients()) {
            auto const command = unexportfs_command(e);
            auto const result = run("stop", command, deadline);
            if (!result.succeeded() && std::ranges::count(clients(), e) != 0) return failed(said(command, result));
        }
        // What the server keeps of it, so that its filesystem can be unmounted: the table of exports, then locks.
        if (access((control() + "/threads").c_str(), F_OK) == 0) {
            (void)run("stop", {"exportfs", "-f"}, deadline);
            std::ofstream(control() + "/unlock_filesystem") << path_ << "\n";
        }
        return clients().empty() ? offline() : failed("it is still in " + etab());
    }

    void wait(int wake_fd) override {
        pollfd woken{wake_fd, POLLIN, 0};
        poll(&woken, 1, glance_every_ms);
    }
    DriverOutcome glance() override {
        DriverOutcome const seen = look(forever);
        return seen.state == ResourceState::offline ? failed("it has vanished from the exports; somebody has run exportfs, or stopped the NFS server") : seen;
    }

private:
    static constexpr char not_running[] =
        "the kernel's NFS server isn't running on this node; install the package nfs-kernel-server and run: systemctl start nfs-server (or use server=\"ganesha\")";

    std::string say(std::string const& what) const { return fmt::format("export {}: {}", path_, what); }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), true}; }
    static DriverOutcome online() { return {ResourceState::online, {}, true}; }
    static DriverOutcome offline() { return {ResourceState::offline, {}, true}; }

    static int threads() {
        std::ifstream file(control() + "/threads");
        int n = 0;
        file >> n;
        return n;
    }
    std::vector<KernelExport> clients() const {
        std::ifstream file(etab());
        std::stringstream text;
        text << file.rdbuf();
        auto all = read_etab(text.str());
        std::erase_if(all, [this](KernelExport const& e) { return e.path != path_; });
        return all;
    }
    OneShotResult run(char const* kind, std::vector<std::string> const& argv, Instant deadline) const {
        return OneShot(context_.guard, context_.events).run(name_, kind, argv, {}, deadline);
    }
    static std::string said(std::vector<std::string> const& command, OneShotResult const& result) {
        std::string const what = fmt::format("{} {} {}", command[0], command[1], command.back());
        if (result.end == OneShotResult::End::not_run) return fmt::format("{} can't be run: {}; install the package nfs-kernel-server", what, result.error);
        if (result.end != OneShotResult::End::exited) return what + " was not done in time";
        return fmt::format("{} {}: {}", what, exit_in_words(result.wait_status), result.output);
    }

    std::string const name_;
    DriverContext const& context_;
    std::map<std::string, std::string> const attributes_;
    std::string const path_;
};

}  // namespace

ShareServerPtr make_kernel_export(ResourceSpec const& resource, DriverContext const& context) {
    return std::make_unique<Export>(resource, context);
}

}  // namespace clusterd
