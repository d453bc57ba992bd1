// cgroup v2 by plain files; see cgroup.hpp.
#include "clusterd/guard/cgroup.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

namespace {

constexpr int max_depth = 8;  // of groups that a resource makes below its own

// The mount of cgroup2 and the part of the hierarchy that it shows (its root), from mountinfo.
bool find_mount(Path& mount, Path& root) {
    FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (!file) return false;
    char line[4096];
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file)) {
        char* dash = std::strstr(line, " - ");
        if (!dash || std::strncmp(dash + 3, "cgroup2 ", 8) != 0) continue;
        char root_text[512], mount_text[512];
        if (std::sscanf(line, "%*d %*d %*s %511s %511s", root_text, mount_text) != 2) continue;
        root.set(root_text);
        mount.set(mount_text);
        found = true;
    }
    std::fclose(file);
    return found;
}

bool own_group(Path& group) {
    char text[4096];
    if (read_file("/proc/self/cgroup", text, sizeof text) < 0) return false;
    char* line = std::strncmp(text, "0::", 3) == 0 ? text : std::strstr(text, "\n0::");
    if (!line) return false;
    line = std::strstr(line, "0::") + 3;
    if (char* end = std::strchr(line, '\n')) *end = 0;
    group.set(line);
    return true;
}

Path join(char const* directory, char const* name) {
    Path path;
    path.add("%s/%s", directory, name);
    return path;
}

// Calls visit(path of a child group) for each.
template <class Visit>
void for_each_child(char const* path, Visit visit) {
    DIR* dir = opendir(path);
    if (!dir) return;
    while (dirent* entry = readdir(dir)) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
        Path const child = join(path, entry->d_name);
        if (!child.cut) visit(child.s);
    }
    closedir(dir);
}

template <class Visit>
void for_each_process(char const* path, Visit visit) {
    FILE* file = std::fopen(join(path, "cgroup.procs").s, "re");
    if (!file) return;
    int pid = 0;
    while (std::fscanf(file, "%d", &pid) == 1) visit(pid);
    std::fclose(file);
}

void kill_one_by_one(char const* path, int depth) {  // kernels before 5.14 have no cgroup.kill
    for_each_process(path, [](int pid) {
        if (pid > 0) kill(pid, SIGKILL);
    });
    if (depth < max_depth) for_each_child(path, [depth](char const* child) { kill_one_by_one(child, depth + 1); });
}

int count_below(char const* path, int depth) {
    int n = 0;
    for_each_process(path, [&n](int) { ++n; });
    if (depth < max_depth) for_each_child(path, [&n, depth](char const* child) { n += count_below(child, depth + 1); });
    return n;
}

void remove_below(char const* path, int depth) {
    if (depth < max_depth) for_each_child(path, [depth](char const* child) { remove_below(child, depth + 1); });
    rmdir(path);
}

}  // namespace

bool unit_cgroup(char const* group, Path& path, Line& why) {
    static Path mount, root, ours;  // they stay what they are
    static bool const known = find_mount(mount, root) && own_group(ours);
    if (!known) {
        why.set("no cgroup v2 is mounted");
        return false;
    }
    std::size_t const n = std::strlen(group);
    auto const ends = [&](char const* with) { return n > std::strlen(with) + 1 && std::strcmp(group + n - std::strlen(with), with) == 0; };
    bool const unit = group[0] == '/' && !std::strstr(group, "/.") && !std::strstr(group, "//") && std::strchr(group + 1, '/') && (ends(".service") || ends(".scope"));
    if (!unit) {
        why.add("'%.100s' is no cgroup of a service", group);
        return false;
    }
    if (std::strncmp(ours.s, group, n) == 0 && (ours.s[n] == 0 || ours.s[n] == '/')) {
        why.add("'%.100s' is the cgroup that clusterd itself runs in", group);
        return false;
    }
    char const* below = group;
    if (!(root == "/")) {
        std::size_t const shown = std::strlen(root.s);
        if (std::strncmp(group, root.s, shown) == 0) below += shown;
    }
    path = Path{};
    path.add("%s%s", mount.s, below);
    if (path.cut) why.set("its path is too long");
    return !path.cut;
}

bool make_cgroup_base(char const* node, std::uint64_t id, Path& base, Line& why) {
    Path mount, root, group;
    if (!find_mount(mount, root)) {
        why.set("no cgroup v2 is mounted");
        return false;
    }
    if (!own_group(group)) {
        why.set("/proc/self/cgroup names no cgroup v2");
        return false;
    }
    char const* below = group.s;
    if (!(root == "/")) {  // the mount shows only a part of the hierarchy: are we in it?
        std::size_t const n = std::strlen(root.s);
        if (std::strncmp(below, root.s, n) != 0) {
            why.add("our cgroup %s is not below %s, which %s shows", group.s, root.s, mount.s);
            return false;
        }
        below += n;
    }
    while (*below == '/') ++below;
    base = Path{};
    base.add("%s/%s%sclusterd-%s-%016lx", mount.s, below, *below ? "/" : "", node, static_cast<unsigned long>(id));
    if (base.cut) {
        why.set("its path is too long");
        return false;
    }
    if (mkdir(base.s, 0755) != 0 && errno != EEXIST) {
        why.add("mkdir %s: %s", base.s, strerror(errno));
        return false;
    }
    if (access(join(base.s, "cgroup.procs").s, W_OK) != 0) {
        why.add("%s/cgroup.procs: %s", base.s, strerror(errno));
        return false;
    }
    return true;
}

Path cgroup_path(Path const& base, char const* kind, char const* name) {
    Path path;
    path.add("%s/%s-%s", base.s, kind, name);
    return path;
}

int open_cgroup(Path const& base, char const* kind, char const* name, bool& fresh) {
    Path const path = cgroup_path(base, kind, name);
    if (path.cut) {
        errno = ENAMETOOLONG;
        return -1;
    }
    // A new one where the old one is empty: a cgroup that cgroup.kill was written to kills, on some kernels, what clone3 puts into
    // it afterwards (the fork is compared with the wrong cgroup's kill count).
    (void)rmdir(path.s);
    // Some kernels (seen: 6.18) kill at once whatever is cloned into a group that cgroup.kill was ever used on: an empty one is
    // made anew.
    remove_cgroup(path.s);
    fresh = mkdir(path.s, 0755) == 0;
    if (!fresh && errno != EEXIST) return -1;
    return open(path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool kill_cgroup(char const* path) {
    if (write_file(join(path, "cgroup.kill").s, "1")) return true;
    if (errno != ENOENT || access(path, F_OK) != 0) return errno == ENOENT;
    kill_one_by_one(path, 0);
    return true;
}

bool cgroup_populated(char const* path) {
    char text[256];
    if (read_file(join(path, "cgroup.events").s, text, sizeof text) < 0) return errno != ENOENT && errno != ENODEV;
    return std::strstr(text, "populated 1") != nullptr;
}

int cgroup_count(char const* path) {
    if (!cgroup_populated(path)) return 0;
    int const n = count_below(path, 0);
    return n > 0 ? n : 1;  // populated, deeper than we look or just between: not none
}

void remove_cgroup(char const* path) {
    remove_below(path, 0);
}

}  // namespace clusterd::guard
