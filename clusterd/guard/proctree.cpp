// /proc, read; see proctree.hpp.
#include "clusterd/guard/proctree.hpp"

#include "clusterd/guard/util.hpp"

#include <dirent.h>
#include <sys/syscall.h>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

namespace {

constexpr int max_running = 16384;
Running table[max_running];
bool below[max_running];

int compare(void const* a, void const* b) {
    pid_t const x = static_cast<Running const*>(a)->pid, y = static_cast<Running const*>(b)->pid;
    return x < y ? -1 : x > y;
}

int scan() {
    DIR* dir = opendir("/proc");
    if (!dir) return 0;
    int n = 0;
    while (dirent* entry = readdir(dir)) {
        std::uint64_t pid = 0;
        if (n < max_running && parse_number(entry->d_name, INT32_MAX, pid) && look_up(static_cast<pid_t>(pid), table[n])) ++n;
    }
    closedir(dir);
    std::qsort(table, static_cast<std::size_t>(n), sizeof table[0], compare);
    return n;
}

int find(pid_t pid, int n) {
    Running key;
    key.pid = pid;
    void const* found = std::bsearch(&key, table, static_cast<std::size_t>(n), sizeof table[0], compare);
    return found ? static_cast<int>(static_cast<Running const*>(found) - table) : -1;
}

// The table isn't one instant's: a process may have lost its parent between the look at it and the look at the parent. Who has no parent
// in the table has got a new one since, or is gone. (The new parent was there before: pid 1 or a subreaper.)
void ask_orphans_again(int n) {
    for (int i = 0; i < n; ++i) {
        if (table[i].parent == 0 || find(table[i].parent, n) >= 0) continue;
        Running now;
        if (!look_up(table[i].pid, now) || now.start != table[i].start)
            table[i].state = 'X';
        else
            table[i].parent = now.parent;
    }
}

}  // namespace

bool look_up(pid_t pid, Running& process) {
    char path[32], text[1024];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_file(path, text, sizeof text) <= 0) return false;
    char const* end = std::strrchr(text, ')');  // the name in parentheses may contain anything
    if (!end) return false;
    int parent = 0;
    unsigned long long start = 0;
    if (std::sscanf(end + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &process.state,
                    &parent, &start) != 3)
        return false;
    process.pid = pid;
    process.parent = parent;
    process.start = start;
    return true;
}

void for_each_running(void (*visit)(Running const&, void*), void* context) {
    int const n = scan();
    for (int i = 0; i < n; ++i)
        if (!is_dead(table[i])) visit(table[i], context);
}

void for_each_descendant(pid_t root, pid_t except, void (*visit)(Running const&, void*), void* context) {
    int const n = scan();
    ask_orphans_again(n);
    std::memset(below, 0, sizeof below);
    for (bool more = true; more;) {  // parents mostly have lower numbers: one pass finds nearly all
        more = false;
        for (int i = 0; i < n; ++i) {
            if (below[i] || table[i].pid == except) continue;
            int const parent = table[i].parent == root ? -2 : find(table[i].parent, n);
            if (parent == -2 || (parent >= 0 && below[parent])) {
                below[i] = true;
                more = true;
            }
        }
    }
    for (int i = 0; i < n; ++i)
        if (below[i] && !is_dead(table[i])) visit(table[i], context);
}

Has has_variable(pid_t pid, char const* variable) {
    char path[32], text[4096];
    std::snprintf(path, sizeof path, "/proc/%d/environ", pid);
    long const size = read_file(path, text, sizeof text);
    for (long at = 0; at < size; at += static_cast<long>(std::strlen(text + at)) + 1)
        if (std::strcmp(text + at, variable) == 0) return Has::yes;
    if (size > 0) return Has::no;
    // Nothing to read: it is gone, it was started with nothing, or it is amid an exec, where the kernel has not yet laid out the new
    // program's environment (fields 48 to 51 of stat: arg_start ... env_end, all 0 until then; proc(5)).
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_file(path, text, sizeof text) <= 0) return Has::no;
    char const* at = std::strrchr(text, ')');
    for (int field = 2; at && field < 51; ++field) {
        at = std::strchr(at, ' ');
        if (at) ++at;
    }
    if (!at || at[0] != '0' || (at[1] != ' ' && at[1] != '\n' && at[1] != 0)) return Has::no;
    Running now;
    return look_up(pid, now) && !is_dead(now) ? Has::unknown : Has::no;
}

bool signal_exactly(Running const& process, int signal) {
    int const fd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
    if (fd < 0) return false;
    Running now;
    bool const same = look_up(process.pid, now) && now.start == process.start;
    if (same) syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0);
    close(fd);
    return same;
}

}  // namespace clusterd::guard
