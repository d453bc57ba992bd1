#include "resources/readiness.hpp"

#include "clusterd/core/time.hpp"
#include "config/types.hpp"
#include "config/values.hpp"
#include "config/words.hpp"
#include "resources/clock.hpp"
#include "resources/disk_identity.hpp"
#include "resources/secret_file.hpp"
#include "resources/systemd_manager.hpp"

#include <fmt/format.h>

#include <linux/fs.h>
#include <net/if.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace clusterd {
namespace {

constexpr auto systemd_patience = std::chrono::seconds(5);

std::string of(std::map<std::string, std::string> const& attributes, std::string const& name) {
    auto const it = attributes.find(name);
    return it == attributes.end() ? std::string() : it->second;
}

// As execvp finds it: with a slash as it stands, else on the path that resources are run with.
std::string found_program(std::string const& name) {
    if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
    for (char const* folder : {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"})
        if (std::string path = std::string(folder) + "/" + name; access(path.c_str(), X_OK) == 0) return path;
    return {};
}

class Look {
public:
    Look(ResourceSpec const& r, std::vector<std::string> const& elsewhere) : r_(r), elsewhere_(elsewhere) {}

    std::vector<Lack> all() {
        if (TypeInfo const* const type = find_type(r_.type)) attributes(*type, r_.attributes, "");
        for (auto const& check : r_.health)
            if (TypeInfo const* const agent = find_agent(check.type)) attributes(*agent, check.attributes, "check " + check.type + ": ");
        if (r_.type == "service") unit(of(r_.attributes, "unit"));
        if (r_.type == "ocf") ocf(of(r_.attributes, "agent"));
        if (r_.type == "filesystem") filesystem();
        if (r_.type == "disk") device(of(r_.attributes, "device"), of(r_.attributes, "uuid"), of(r_.attributes, "size"));
        if (r_.type == "file-share") share();
        if (r_.type == "network-name") needs_program("nsupdate", "the package bind9-dnsutils");
        if (r_.type == "print-queue") needs_program("lpadmin", "the package cups");
        if (r_.type == "process" || r_.type == "service" || r_.type == "ocf" || r_.type == "script") ports();
        return std::move(lacks_);
    }

private:
    void lack(std::string what, std::string todo) { lacks_.push_back({std::move(what), std::move(todo)}); }

    bool comes_with_it(std::string const& path) const {
        return std::any_of(elsewhere_.begin(), elsewhere_.end(), [&](std::string const& mount) { return path == mount || path.starts_with(mount + "/"); });
    }

    void needs_program(std::string const& name, std::string const& where) {
        if (found_program(name).empty()) lack(name + " isn't installed", "install " + where);
    }

    // What every type has: the table says which attribute is a command, an interface, a file with a secret.
    void attributes(TypeInfo const& type, std::map<std::string, std::string> const& given, std::string const& where) {
        for (auto const& a : type.attributes) {
            std::string const value = of(given, std::string(a.name));
            if (value.empty() || comes_with_it(value)) continue;
            if (a.kind == AttributeKind::command) command(value, where);
            if (a.kind == AttributeKind::interface) interface(value);
            if (a.secret_file) {
                if (auto const read = read_secret_file(value); !read) lack(where + read.error(), "it must be on both nodes, root's, mode 0600");
            }
            if (a.name == "working-directory") directory(value, where + "the working directory ");
            if (a.name == "ca-file" && access(value.c_str(), R_OK) != 0) lack(fmt::format("{}{} can't be read: {}", where, value, std::strerror(errno)), "copy it from the other node");
            if (a.name == "user" && a.needs_root && getpwnam(value.c_str()) == nullptr) lack(fmt::format("{}there is no user {}", where, value), "add that user here as on the other node");
        }
    }

    void command(std::string const& line, std::string const& where) {
        auto const words = split_words(line);
        if (!words || words->empty()) return;  // config/ refuses that
        std::string const& program = words->front();
        if (comes_with_it(program) || !found_program(program).empty()) return;
        bool const there = access(program.c_str(), F_OK) == 0;
        lack(fmt::format("{}{} {}", where, program, there ? "isn't executable" : "isn't there"), there ? "chmod +x " + program : "install it as on the other node");
    }

    void directory(std::string const& path, std::string const& what) {
        struct stat st {};
        if (stat(path.c_str(), &st) != 0) lack(fmt::format("{}{} isn't there", what, path), "mkdir -p " + path);
        else if (!S_ISDIR(st.st_mode)) lack(fmt::format("{}{} isn't a directory", what, path), "make it one, as on the other node");
    }

    void interface(std::string const& name) {
        ifreq request{};
        name.copy(request.ifr_name, IFNAMSIZ - 1);
        int const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool const there = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
        if (fd >= 0) close(fd);
        auto const flags = static_cast<unsigned>(request.ifr_flags);
        if (!there) lack("there is no interface " + name, "interfaces need the same names on both nodes (systemd.link(5))");
        else if ((flags & IFF_UP) == 0) lack("interface " + name + " is down", "ip link set " + name + " up");
        else if ((flags & IFF_RUNNING) == 0) lack("interface " + name + " has no carrier", "look at its cable and switch port");
    }

    void device(std::string const& path, std::string const& uuid, std::string const& size) {
        int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) return lack(fmt::format("{} can't be opened: {}", path, std::strerror(errno)), "is the disk connected to this node, and has it that name here?");
        struct stat st {};
        std::string first(identity_bytes, '\0');
        if (fstat(fd, &st) != 0 || !S_ISBLK(st.st_mode)) {
            lack(path + " isn't a block device", "name the disk by /dev/disk/by-id");
        } else if (ssize_t const n = pread(fd, first.data(), first.size(), 0); n < 0) {
            lack(fmt::format("{} can't be read: {}", path, std::strerror(errno)), "look at the disk's path: dmesg, multipath -ll");
        } else {
            std::uint64_t bytes = 0;
            if (!size.empty() && ioctl(fd, BLKGETSIZE64, &bytes) == 0 && std::to_string(bytes) != size) lack(fmt::format("{} has {} bytes, not {}", path, bytes, size), "it is another disk: correct the name");
            std::string const found = identify_disk(first).uuid;
            if (!uuid.empty() && found != uuid) lack(fmt::format("{} has the UUID {}, not {}", path, found.empty() ? "of no known kind" : found, uuid), "it is another disk: correct the name");
        }
        close(fd);
    }

    void filesystem() {
        device(of(r_.attributes, "device"), "", "");
        directory(of(r_.attributes, "mount"), "the mount point ");
        if (of(r_.attributes, "type") == "ext4" && of(r_.attributes, "fsck") != "never") needs_program("e2fsck", "the package e2fsprogs");
    }

    void unit(std::string const& name) {
        auto manager = SystemdManager::connect(boot_now() + systemd_patience);
        if (!manager) return lack("systemd doesn't answer: " + manager.error(), "systemctl status");
        (*manager)->deadline(boot_now() + systemd_patience);
        auto const state = (*manager)->state(name);
        if (!state) return lack(fmt::format("unit {} can't be looked at: {}", name, state.error()), "systemctl status " + name);
        if (state->load == "not-found") return lack(fmt::format("unit {} isn't installed", name), "install its package as on the other node");
        if (state->load == "masked") return lack(fmt::format("unit {} is masked", name), "systemctl unmask " + name);
        if (state->load != "loaded") return lack(fmt::format("unit {} can't be loaded ({})", name, state->load), "systemctl status " + name);
        if (state->file == "enabled") lack(fmt::format("unit {} is enabled: it starts at boot, without the cluster", name), "systemctl disable " + name);
    }

    void ocf(std::string agent) {
        if (agent.starts_with("ocf:")) agent.erase(0, 4);
        std::size_t const colon = agent.find(':');
        if (colon == std::string::npos) return;
        char const* const root = std::getenv("CLUSTERD_OCF_ROOT");
        std::string const path = fmt::format("{}/resource.d/{}/{}", root ? root : "/usr/lib/ocf", agent.substr(0, colon), agent.substr(colon + 1));
        if (access(path.c_str(), X_OK) != 0) lack(path + (access(path.c_str(), F_OK) == 0 ? " isn't executable" : " isn't there"), "install the package resource-agents as on the other node");
    }

    void share() {
        if (of(r_.attributes, "protocol") == "smb") {
            needs_program("smbd", "the package samba");
            needs_program("smbcontrol", "the package samba");
        } else if (found_program("ganesha.nfsd").empty() && found_program("exportfs").empty()) {
            lack("no NFS server is installed", "install nfs-ganesha or nfs-kernel-server as on the other node");
        }
    }

    // A port that another program takes connections on, on every address of this node.
    void ports() {
        std::set<unsigned> wanted;
        if (auto const ready = parse_ready(of(r_.attributes, "ready")); ready && ready->kind == ReadyWhen::Kind::tcp) wanted.insert(ready->port);
        for (auto const& check : r_.health)
            if (check.type == "tcp") wanted.insert(static_cast<unsigned>(std::strtoul(of(check.attributes, "port").c_str(), nullptr, 10)));
        if (wanted.empty()) return;
        for (char const* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
            std::ifstream in(file);
            std::string line;
            std::getline(in, line);  // its head
            while (std::getline(in, line)) {
                std::istringstream words(line);
                std::string number, local, remote, state;
                words >> number >> local >> remote >> state;
                std::size_t const colon = local.find(':');
                if (state != "0A" || colon == std::string::npos || local.find_first_not_of('0') < colon) continue;  // listening, on any address
                auto const port = static_cast<unsigned>(std::strtoul(local.c_str() + colon + 1, nullptr, 16));
                if (wanted.erase(port) != 0) lack(fmt::format("another program takes connections on port {} here", port), fmt::format("ss -ltnp sport = :{}", port));
            }
        }
    }

    ResourceSpec const& r_;
    std::vector<std::string> const& elsewhere_;
    std::vector<Lack> lacks_;
};

}  // namespace

std::vector<Lack> lacks_of(ResourceSpec const& resource, std::vector<std::string> const& elsewhere) { return Look(resource, elsewhere).all(); }

}  // namespace clusterd
