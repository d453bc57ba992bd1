// Systemd units as resources. Their processes are systemd's children, so the guard knows them by the unit's cgroup: named by the driver before
// the unit is started, for it is systemd that puts something into it. One that is found running may be named without a permit, too: what
// runs in a named cgroup while there is none is ended, at every turn of the loop.
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"

namespace clusterd::guard {

namespace {

template <class Visit>
void for_each_running_unit(Visit visit) {
    for (OwnedCgroup const& owned : g.cgroups) {
        if (owned.resource.empty()) continue;
        Path path;
        Line why;
        if (unit_cgroup(owned.path.s, path, why) && cgroup_populated(path.s)) visit(owned, path.s);
    }
}

}  // namespace

void do_own_cgroup(int slot, std::uint64_t id, Unpacker& u, bool own) {
    char const* resource = u.text();
    char const* group = u.text();
    bool const to_start = own && u.number() != 0;
    Line why;
    Path path;
    OwnedCgroup* free = nullptr;
    OwnedCgroup* present = nullptr;
    if (!u.complete())
        why.set("own_cgroup: the request doesn't parse");
    else if (good_resource(resource, why) && own && unit_cgroup(group, path, why))
        refused(group, resource, to_start, why);
    for (OwnedCgroup& owned : g.cgroups) {
        if (owned.resource.empty())
            free = free ? free : &owned;
        else if (owned.resource == resource)
            present = &owned;
    }
    if (why.empty() && own) {
        OwnedCgroup* const entry = present ? present : free;
        if (!entry) {
            why.add("%d cgroups are owned already", max_cgroups);
        } else if (!(entry->path == group)) {
            OwnedCgroup const before = *entry;
            entry->resource.set(resource);
            entry->path.set(group);
            if (!record(resource)) {
                *entry = before;
                why.add("cgroup %.100s of %s can't be recorded in %s/owned; nothing was done", group, resource, g.options.run_dir.s);
            }
        }
    }
    if (why.empty() && !own && present) {
        *present = {};
        record(resource);
    }
    answer(ref(slot), id, why.empty() ? nullptr : why.s);
}

bool unit_of(char const* resource, Path& path) {
    for (OwnedCgroup const& owned : g.cgroups) {
        Line why;
        if (owned.resource == resource) return unit_cgroup(owned.path.s, path, why);
    }
    return false;
}

bool any_unit_runs() {
    bool any = false;
    for_each_running_unit([&any](OwnedCgroup const&, char const*) { any = true; });
    return any;
}

void name_running_units(Line& names) {
    for_each_running_unit([&names](OwnedCgroup const& owned, char const*) {
        names.add("%sprocesses of %s in %s", names.empty() ? "" : ", ", owned.resource.s, owned.path.s);
    });
}

void kill_units() {
    for_each_running_unit([](OwnedCgroup const&, char const* path) { kill_cgroup(path); });
}

// Started at boot or by hand; or systemd was asked to start it before the permit ended, and does it now.
void end_late_units(std::int64_t now) {
    if (g.stop.active || permit_holds(now)) return;
    Line running;
    name_running_units(running);
    if (running.empty()) return;
    Line reason;
    reason.add("%.300s run without a permit (is the unit also started at boot, or by hand?)", running.s);
    begin_stop(reason.s);
}

}  // namespace clusterd::guard
