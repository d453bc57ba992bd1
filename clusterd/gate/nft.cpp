// See nft.hpp.
#include "clusterd/gate/nft.hpp"

#include "clusterd/guard/ordinary.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace clusterd::gate {
namespace {

// `flush set` first: the file's addresses may have changed since the table was made.
std::string sets(std::string const& family, RulesetInput const& in, bool with_v6) {
    std::string out;
    auto const set = [&](char const* name, char const* type, std::vector<std::string> const& all) {
        out += fmt::format("add set {0} {1} cluster{2} {{ type {3}; }}\nflush set {0} {1} cluster{2}\n", family, in.table, name, type);
        out += fmt::format("add set {} {} allowed{} {{ type {}; flags timeout; }}\n", family, in.table, name, type);
        if (!all.empty()) out += fmt::format("add element {} {} cluster{} {{ {} }}\n", family, in.table, name, fmt::join(all, ", "));
    };
    set("4", "ipv4_addr", in.v4);
    if (with_v6) set("6", "ipv6_addr", in.v6);
    return out;
}

int memory_file(char const* name, std::string const& content) {
    int const fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -1;
    std::size_t done = 0;
    while (done < content.size()) {
        ssize_t const wrote = write(fd, content.data() + done, content.size() - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += static_cast<std::size_t>(wrote);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

std::string read_all(int fd) {
    std::string text(2000, '\0');
    ssize_t const got = pread(fd, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (auto const line = text.find('\n'); line != std::string::npos) text.resize(line);  // the first line says it
    return text;
}

}  // namespace

std::string main_ruleset(RulesetInput const& in) {
    constexpr auto rules = R"(add chain inet {0} input {{ type filter hook input priority -300; policy accept; }}
add chain inet {0} output {{ type filter hook output priority -300; policy accept; }}
add chain inet {0} forward {{ type filter hook forward priority -300; policy accept; }}
add rule inet {0} input iifname "lo" accept
add rule inet {0} input ip daddr @cluster4 ip daddr != @allowed4 drop
add rule inet {0} input ip6 daddr @cluster6 ip6 daddr != @allowed6 drop
add rule inet {0} output oifname "lo" accept
add rule inet {0} output ip saddr @cluster4 ip saddr != @allowed4 drop
add rule inet {0} output ip6 saddr @cluster6 ip6 saddr != @allowed6 drop
add rule inet {0} forward ip saddr @cluster4 ip saddr != @allowed4 drop
add rule inet {0} forward ip6 saddr @cluster6 ip6 saddr != @allowed6 drop
add chain arp {0} output {{ type filter hook output priority -300; policy accept; }}
add rule arp {0} output arp saddr ip @cluster4 arp saddr ip != @allowed4 drop
)";
    std::string out = fmt::format("add table inet {0}\nflush table inet {0}\nadd table arp {0}\nflush table arp {0}\n", in.table);
    return out + sets("inet", in, true) + sets("arp", in, false) + fmt::format(rules, in.table);
}

std::string sets_ruleset(RulesetInput const& in, bool egress) {
    std::string out = fmt::format("add table inet {0}\nadd table arp {0}\n", in.table) + sets("inet", in, true) + sets("arp", in, false);
    if (egress) out += fmt::format("add table netdev {0}\n", in.table) + sets("netdev", in, true);
    return out;
}

std::string egress_ruleset(RulesetInput const& in, bool anew) {
    std::string out = fmt::format("add table netdev {0}\n{1} table netdev {0}\nadd table netdev {0}\n", in.table, anew ? "delete" : "flush");
    out += sets("netdev", in, true);
    int number = 0;
    for (auto const& interface : in.interfaces) {
        std::string const chain = fmt::format("egress{}", number++);
        out += fmt::format("add chain netdev {0} {1} {{ type filter hook egress device \"{2}\" priority -300; policy accept; }}\n"
                           "add rule netdev {0} {1} arp saddr ip @cluster4 arp saddr ip != @allowed4 drop\n"
                           "add rule netdev {0} {1} ip6 saddr @cluster6 ip6 saddr != @allowed6 drop\n",
                           in.table, chain, interface);
    }
    return out;
}

std::string removal(std::string const& table, bool egress) {
    std::string out;
    for (char const* family : {"inet", "arp", "netdev"})
        if (egress || std::string_view(family) != "netdev") out += fmt::format("add table {0} {1}\ndelete table {0} {1}\n", family, table);
    return out;
}

NftRun::~NftRun() {
    if (running()) (void)finish();
}

void NftRun::drop() {
    if (pidfd_ >= 0) close(pidfd_);
    if (output_ >= 0) close(output_);
    pid_ = pidfd_ = output_ = -1;
}

Result<Done> NftRun::start(std::string const& nft, std::string const& ruleset) {
    int const input = memory_file("ruleset", ruleset);
    output_ = memory_file("nft-output", "");
    if (input < 0 || output_ < 0) {
        int const error = errno;
        if (input >= 0) close(input);
        drop();
        return Error{fmt::format("can't make a memory file for nft: {}", std::strerror(error))};
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output_, 1);
    posix_spawn_file_actions_adddup2(&actions, output_, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    // A fixed environment: what nft does must not depend on ours. sbin is not in everybody's PATH.
    std::string const path = "PATH=/usr/sbin:/sbin:/usr/bin:/bin";
    char* const environment[] = {const_cast<char*>(path.c_str()), nullptr};
    std::string const program = nft.find('/') == std::string::npos && access(("/usr/sbin/" + nft).c_str(), X_OK) == 0 ? "/usr/sbin/" + nft : nft;
    char* const arguments[] = {const_cast<char*>(program.c_str()), const_cast<char*>("-f"), const_cast<char*>("-"), nullptr};
    int const error = posix_spawnp(&pid_, program.c_str(), &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(input);
    if (error != 0) {
        drop();
        return Error{fmt::format("can't run {}: {}; install the package nftables", program, std::strerror(error))};
    }
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    if (pidfd_ < 0) {
        std::string const why = std::strerror(errno);
        (void)finish();
        return Error{fmt::format("can't watch nft (pidfd_open): {}", why)};
    }
    return Done{};
}

bool NftRun::wait(Duration at_most) {
    pollfd poll_for{pidfd_, POLLIN, 0};
    int result = 0;
    do result = poll(&poll_for, 1, static_cast<int>(to_ms(at_most)));
    while (result < 0 && errno == EINTR);
    return result > 0;
}

Result<Done> NftRun::finish() {
    bool const ended = pidfd_ >= 0 && wait(Duration{0});
    if (!ended) kill(pid_, SIGKILL);
    int status = 0;
    guard::OrdinaryScheduling const ordinary;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    std::string const said = read_all(output_);
    drop();
    if (!ended) return Error{"nft didn't end in time and was killed"};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Done{};
    return Error{fmt::format("nft failed: {}", said.empty() ? "without a message" : said)};
}

}  // namespace clusterd::gate
