// What a seed means: the configuration, the rates of trouble ("swarm": each seed has its own), and the faults of the safety phase.
#include "tests/sim/scenario.hpp"

namespace clusterd::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

Timing timing_of(std::string const& profile) {
    Timing t;
    t.profile = profile;
    if (profile == "fast") {
        t.heartbeat = milliseconds(20);
        t.suspect = milliseconds(100);
        t.permit = milliseconds(300);
        t.kill = milliseconds(80);
    } else if (profile == "wan") {
        t.heartbeat = seconds(1);
        t.suspect = seconds(5);
        t.permit = seconds(15);
        t.kill = seconds(3);
    }
    return t;
}

namespace {

ResourceSpec resource(std::string name, std::string type, std::vector<std::string> needs, Random* random) {
    ResourceSpec r;
    r.name = std::move(name);
    r.type = std::move(type);
    for (auto& n : needs) r.depends.children.push_back({Dependency::Kind::name, std::move(n), {}});
    if (random && random->chance(0.3)) r.health.push_back({"tcp", {}, seconds(1), milliseconds(500), 2, 0});
    if (r.type == "ip-address") r.attributes["address"] = r.name;
    r.restart.limit = random ? static_cast<int>(random->between(0, 3)) : 3;
    r.restart.period = seconds(60);
    r.retry_after = seconds(5);
    r.online_timeout = seconds(10);
    r.offline_timeout = seconds(3);
    return r;
}

}  // namespace

ConfigPtr sample_config(Timing const& timing, Random* random) {
    auto config = std::make_shared<Config>();
    config->hash[0] = 1;
    config->xml = "<cluster/>";
    Spec& s = config->spec;
    s.cluster = "simulated";
    s.nodes[0] = {"alpha", {{"192.0.2.1", 7780}}};
    s.nodes[1] = {"beta", {{"192.0.2.2", 7780}}};
    s.quorum_disk = "/dev/quorum";
    s.timing = timing;
    s.networks.push_back({"public", "eth0", {}});
    GroupSpec web;
    web.name = "web";
    web.resources = {resource("web-ip", "ip-address", {}, random), resource("web-data", "process", {}, random),
                     resource("web-server", "process", {"web-data", "web-ip"}, random)};
    web.preferred = NodeIndex::a;
    GroupSpec mail;
    mail.name = "mail";
    mail.resources = {resource("mail-server", "process", {}, random), resource("mail-ip", "ip-address", {"mail-server"}, random)};
    if (random) {
        if (random->chance(0.5)) mail.preferred = NodeIndex::b;
        if (random->chance(0.4)) web.failback.kind = FailbackSpec::Kind::immediate;
        web.failover_limit = static_cast<int>(random->between(0, 3));
        web.failover_period = seconds(random->between(30, 300));
    }
    s.groups = {web, mail};
    if (random && random->chance(0.3)) {
        GroupSpec one;
        one.name = "batch";
        one.resources = {resource("batch-job", "process", {}, random)};
        one.preferred = NodeIndex::b;
        s.groups.push_back(one);
    }
    if (random) {  // from a stream of its own: what was drawn before stays what it was
        Random ordering(Random(*random).next());
        auto& after = s.groups[ordering.below(s.groups.size())];
        auto& apart = s.groups[ordering.below(s.groups.size())];
        if (ordering.chance(0.3)) after.after = &after == &s.groups[0] ? "mail" : "web";
        if (ordering.chance(0.3)) apart.apart = &apart == &s.groups[0] ? "mail" : "web";
        for (auto& g : s.groups)
            if (ordering.chance(0.3)) g.priority = static_cast<int>(ordering.between(1, 3));
    }
    return config;
}

namespace {

Conditions draw_conditions(Random& r, Mode mode, Timing const& t) {
    Conditions c;
    Ns const suspect = t.suspect.count();
    Ns const cycle_most = std::min<Ns>(50 * ms, (t.permit.count() - t.kill.count() - 2 * suspect) / 6);
    auto const range = [&](Ns most) {
        Ns const low = r.between(ms / 10, std::max(ms / 5, most / 2));
        return Range{low, r.between(low, std::max(low, most))};
    };
    c.delay = range(t.heartbeat.count() / 4);
    for (auto& d : c.disk) d.io = range(cycle_most / 2);
    c.fsync = range(cycle_most);
    c.scheduling = {0, r.chance(0.5) ? 0 : r.between(0, t.heartbeat.count() / 10)};
    c.start = range(300 * ms);
    c.stop = range(200 * ms);
    c.emergency = {ms / 10, t.kill.count() * 8 / 10};
    c.break_after = {suspect / 2, 2000 * ms};
    if (mode != Mode::storm) return c;
    if (r.chance(0.5)) c.loss = r.real() * 0.2;
    if (r.chance(0.3)) c.twice = r.real() * 0.2;
    if (r.chance(0.4)) c.late = r.real() * 0.05;
    c.latest = r.between(2, 20) * t.permit.count() / 4;
    if (r.chance(0.3)) c.scheduling.high = r.between(0, suspect);
    if (r.chance(0.3))
        for (auto& d : c.disk) d.error = r.real() * 0.1;
    if (r.chance(0.2))
        for (auto& d : c.disk) d.io.high = r.between(1, t.permit.count());
    if (r.chance(0.15)) c.fsync_error = r.real() * 0.05;
    if (r.chance(0.15)) c.fsync.high = r.between(1, t.permit.count());
    return c;
}

Command draw_command(Random& r, Spec const& s, std::uint64_t number) {
    Command c;
    c.id = "c" + std::to_string(number);
    c.verb = static_cast<Verb>(r.below(7));
    c.user = "root";
    auto const& g = r.pick(s.groups);
    c.target = g.name;
    if (c.verb == Verb::fail) c.target = r.pick(g.resources).name;
    if ((c.verb == Verb::online || c.verb == Verb::offline) && r.chance(0.3)) c.target = r.pick(g.resources).name;
    if (c.verb == Verb::pause || c.verb == Verb::resume) {
        c.target = s.nodes[r.below(2)].name;
        c.drain = r.chance(0.5);
        c.failback = r.chance(0.5);
    }
    if (c.verb == Verb::move && r.chance(0.5)) c.to = s.nodes[r.below(2)].name;
    return c;
}

Fault draw_fault(Random& r, Scenario const& s, std::vector<Kind> const& kinds, Ns at, std::uint64_t number) {
    Ns const permit = s.setup.config->spec.timing.permit.count();
    Fault f;
    f.at = at;
    f.kind = r.pick(kinds);
    f.which = static_cast<int>(r.below(3));
    f.detail = r.next();
    switch (r.below(4)) {  // from a blip to for ever
    case 0: f.lasts = r.between(ms, permit / 2); break;
    case 1: f.lasts = r.between(permit / 2, 2 * permit); break;
    case 2: f.lasts = r.between(permit, 5 * permit); break;
    default: f.lasts = r.between(permit, 20 * permit); break;
    }
    if (f.kind == Kind::command) f.command = draw_command(r, s.setup.config->spec, number);
    if (f.kind == Kind::cut_one_way || f.kind == Kind::power_cut || f.kind == Kind::kill_service || f.kind == Kind::freeze_all) {
        if (f.which == 2 && r.chance(0.7)) f.which = static_cast<int>(r.below(2));
    }
    return f;
}

std::vector<Kind> draw_kinds(Random& r, Scenario& s) {
    if (s.mode == Mode::disk_only) return {Kind::disk_fails, Kind::disk_hangs, Kind::disk_slow};
    if (s.mode == Mode::link_only) return {Kind::cut_both};
    if (s.mode == Mode::calm) return {Kind::command, Kind::clock_rate, Kind::wall_clock, Kind::upgrade};
    std::vector<Kind> all;
    for (int i = 0; i <= static_cast<int>(Kind::network_down); ++i)
        if (r.chance(0.4)) all.push_back(static_cast<Kind>(i));
    if (r.chance(0.3)) all.push_back(Kind::die_in_effects);
    if (r.chance(0.5)) all.push_back(Kind::clock_rate);
    if (r.chance(0.5)) all.push_back(Kind::command);
    for (auto k : {Kind::reordered, Kind::wall_clock, Kind::upgrade})
        if (r.chance(0.3)) all.push_back(k);
    for (auto k : {Kind::agents_lie, Kind::starts_hang, Kind::stops_hang, Kind::resource_dies_unseen})
        if (s.resource_trouble && r.chance(0.3)) all.push_back(k);
    // After one of these the disk is no vote for this process, or for nobody any more: seldom, so that it is one in the other seeds.
    for (auto k : {Kind::lost_write, Kind::torn_write})
        if (r.chance(0.06)) all.push_back(k);
    if (all.empty()) all = {Kind::cut_both, Kind::power_cut};
    auto const drop = [&](Kind k) { std::erase(all, k); };
    if (!r.chance(0.2)) drop(Kind::lose_store);
    if (!r.chance(0.3)) drop(Kind::leave);
    if (!s.resource_trouble) drop(Kind::resource_dies), drop(Kind::resource_sticks), drop(Kind::unhealthy), drop(Kind::network_down);
    if (all.empty()) all = {Kind::power_cut, Kind::cut_one_way};
    return all;
}

Rest draw_rest(Random& r, Scenario const& s) {
    bool const quiet_resources = s.mode == Mode::calm || (s.mode == Mode::storm && !s.resource_trouble);
    if (quiet_resources && r.chance(s.mode == Mode::calm ? 0.5 : 0.15)) {
        int const n = static_cast<int>(r.below(2));
        return {{true, true}, {true, true}, {true, true}, n == 0 ? "something on A can't be stopped" : "something on B can't be stopped", n};
    }
    if (s.mode != Mode::storm) return {{true, true}, {true, true}, {true, true}, "all well"};
    static std::vector<Rest> const all = {
        {{true, true}, {true, true}, {true, true}, "all well"},
        {{true, true}, {true, true}, {false, false}, "no disk"},
        {{true, true}, {true, true}, {true, false}, "the disk for A only"},
        {{true, true}, {true, true}, {false, true}, "the disk for B only"},
        {{true, true}, {false, false}, {true, true}, "no link"},
        {{true, true}, {false, false}, {true, false}, "no link, the disk for A only"},
        {{true, true}, {false, false}, {false, true}, "no link, the disk for B only"},
        {{true, false}, {true, true}, {true, true}, "B off"},
        {{false, true}, {true, true}, {true, true}, "A off"},
        {{true, true}, {true, false}, {true, true}, "link A -> B only"},
        {{true, true}, {false, true}, {true, true}, "link B -> A only"},
        {{true, true}, {true, false}, {true, false}, "link A -> B only, the disk for A only"},
        {{true, true}, {true, false}, {false, true}, "link A -> B only, the disk for B only"},
        {{true, true}, {false, true}, {true, false}, "link B -> A only, the disk for A only"},
        {{true, true}, {false, true}, {false, true}, "link B -> A only, the disk for B only"},
    };
    return r.pick(all);
}

// Other configurations, applied while all else goes on. From a stream of its own, and behind the faults that were drawn: the seeds of old
// mean what they did.
void draw_applies(Scenario& s) {
    Random r(s.seed * 2 + 4'000'000'007ULL);
    if ((s.mode != Mode::storm && s.mode != Mode::calm) || !r.chance(0.4)) return;
    Ns const last = s.safety_ends - 60'000 * ms;
    Ns at = 5000 * ms;
    for (std::uint64_t n = 0; n < 40; ++n) {
        at += r.between(ms, 60'000 * ms);
        if (at > last) break;
        Fault f;
        f.at = at;
        f.kind = Kind::apply;
        f.which = static_cast<int>(r.below(2));
        f.number = s.drawn + n;
        f.command.id = "a" + std::to_string(n);
        f.command.verb = Verb::apply;
        f.command.user = "root";
        if (r.chance(0.25)) {  // or a while in maintenance
            f.command.verb = Verb::maintenance;
            f.command.target = r.chance(0.3) ? std::string() : r.chance(0.3) ? s.setup.config->spec.nodes[r.below(2)].name : r.pick(s.setup.config->spec.groups).name;
            f.command.on = r.chance(0.6);
            f.command.for_ms = f.command.on && r.chance(0.7) ? r.between(1, 60'000) : 0;
            s.faults.push_back(f);
            continue;
        }
        if (r.chance(0.2)) {  // and another one right behind: both wait for a decision under way, and meet in the next draft
            Fault before = f, behind = f;
            before.number += 100, behind.number += 200;
            before.command = {f.command.id + "-before", Verb::reset, s.setup.config->spec.groups[0].name};
            behind.at = f.at + 2;
            behind.command.id += "-behind";
            behind.command.config = other_config(*s.setup.config, r, n + 100);
            f.at += 1;
            s.faults.push_back(before);
            s.faults.push_back(behind);
        }
        f.command.config = r.chance(0.2) ? s.setup.config : other_config(*s.setup.config, r, n);
        if (r.chance(0.3)) {  // on trial, and perhaps confirmed, in time or too late
            f.command.confirm_ms = r.between(1000, 20'000);
            if (r.chance(0.4)) {
                Fault word = f;
                word.number += 300;
                word.at += r.between(0, 25'000) * ms;
                word.command = {f.command.id + "-confirm", Verb::confirm, ""};
                s.faults.push_back(word);
            }
        }
        s.faults.push_back(std::move(f));
    }
}

// A virtual machine that is paused, one at a time. A stream of its own, too.
void draw_pauses(Scenario& s) {
    Random r(s.seed * 2 + 6'000'000'007ULL);
    if (s.mode != Mode::storm || !r.chance(0.2)) return;
    Ns const permit = s.setup.config->spec.timing.permit.count();
    Ns at = 10 * permit + 3000 * ms;
    for (std::uint64_t n = 0; n < 40; ++n) {
        at += r.between(permit, 60 * permit);
        Fault f;
        f.at = at;
        f.kind = Kind::pause_machine;
        f.which = static_cast<int>(r.below(2));
        f.lasts = r.chance(0.3) ? r.between(ms, permit) : r.between(permit / 2, 10 * permit);
        f.number = s.drawn + 1000 + n;
        at += f.lasts + 5 * permit;
        if (at > s.safety_ends) break;
        s.faults.push_back(f);
    }
}

}  // namespace

Scenario draw_scenario(std::uint64_t seed, double minutes) {
    Random r(seed * 2 + 1);
    Scenario s;
    s.seed = seed;
    auto const die = r.below(10);
    s.mode = die < 7 ? Mode::storm : die == 7 ? Mode::disk_only : die == 8 ? Mode::link_only : Mode::calm;
    auto const profile = r.below(6);
    Timing const timing = timing_of(profile == 0 ? "fast" : profile <= 3 ? "default" : "wan");
    s.setup.seed = seed;
    s.resource_trouble = s.mode == Mode::storm && r.chance(0.4);
    s.setup.config = sample_config(timing, &r);
    s.setup.links = r.chance(0.3) ? 2 : 1;
    for (double& rate : s.setup.rate) rate = 1.0 + (r.real() - 0.5) * 0.0098;
    s.conditions = draw_conditions(r, s.mode, timing);
    if (s.resource_trouble) {
        s.conditions.start_fails = r.real() * 0.2;
        s.conditions.stop_fails = r.chance(0.5) ? r.real() * 0.2 : 0;
        if (r.chance(0.5)) s.conditions.start_hangs = s.conditions.stop_hangs = r.real() * 0.1;
        s.conditions.unkillable = r.chance(0.4) ? r.real() : 0;
    }
    auto const kinds = draw_kinds(r, s);
    s.safety_ends = static_cast<Ns>(minutes * 60'000.0) * ms;
    Ns const pause = timing.permit.count() * r.between(2, 30);
    Ns at = 10 * timing.permit.count() + 3000 * ms;
    for (std::uint64_t n = 0; at < s.safety_ends; ++n) {
        s.faults.push_back(draw_fault(r, s, kinds, at, n));
        s.faults.back().number = n;
        Ns const gap = r.between(ms, 2 * pause);
        // Where only one thing may be wrong, it is over, and all has settled, before the next.
        at += s.mode == Mode::storm || s.mode == Mode::calm ? gap : s.faults.back().lasts + 15 * timing.permit.count() + gap;
    }
    s.drawn = s.faults.size();
    draw_applies(s);
    draw_pauses(s);
    s.minutes = minutes;
    s.rest = draw_rest(r, s);
    return s;
}

}  // namespace clusterd::sim
