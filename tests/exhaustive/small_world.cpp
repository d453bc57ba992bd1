#include "tests/exhaustive/small_world.hpp"

#include "tests/exhaustive/peek.hpp"

#include <algorithm>

namespace clusterd::exhaustive {

namespace {
constexpr Duration tick_length = std::chrono::milliseconds(10);
constexpr Duration instant = std::chrono::microseconds(1);  // just after now; heartbeats of one moment differ by nanoseconds
constexpr StoreId disk_store = 30;

Now at_time(Instant i) { return Now{i, 0, 0}; }
}  // namespace

std::string to_string(Choice c) {
    static char const* const names[] = {"tick", "tick, A's clock is slow", "tick, B's clock is slow", "looks at its clock", "receives the heartbeat in the link",
                                        "receives an older heartbeat", "its write lands", "reads the other slot", "decides on what it read", "its cycle fails",
                                        "has stored its terms", "has stopped everything", "TAKES OVER", "crashes, the write under way is lost; a new incarnation",
                                        "crashes, the write under way has landed; a new incarnation", "crashes, the write under way lands later; a new incarnation",
                                        "crashes and goes on as the same incarnation", "a dead incarnation's write lands", "is switched on", "is forced by an operator"};
    std::string const text = names[static_cast<int>(c.move)];
    return c.move <= Move::tick_slow_b ? text : std::string(c.node == 0 ? "A " : "B ") + text;
}

World::World(Bounds const& b) : bounds(b) {}

Membership World::make(int i, int incarnation, Terms const& stored, ResumeState const* resume, Instant now) const {
    Membership::Self self;
    self.node = static_cast<NodeIndex>(i);
    self.incarnation = static_cast<Incarnation>(incarnation);
    self.store = static_cast<StoreId>(10 * (i + 1));
    Membership m = resume ? Membership(self, stored, *resume, at_time(now)) : Membership(self, stored, at_time(now));
    auto& a = m.around;
    a.timing.heartbeat = tick_length;
    a.timing.suspect = bounds.suspect * tick_length;
    a.timing.permit = bounds.permit * tick_length;
    a.timing.kill = Duration{0};
    a.timing.rho_permille = bounds.drift ? 1000 / bounds.permit : 0;
    a.newest = a.disk_newest = {1, 1};
    a.listed = {10, 20, disk_store};
    a.fitness.groups_online = bounds.groups_equal || i == 1 ? 1 : 2;
    return m;
}

void World::start(int i, int incarnation) {
    auto& slot = nodes[static_cast<std::size_t>(i)];
    Instant const clock = slot ? slot->clock : Instant{(i + 1) * 1'000'000'000LL};
    Terms const stored = slot ? slot->durable : Terms{1, 1, 0};
    Instant const guard_end = slot ? slot->guard_end : long_ago;
    auto const ghost = slot ? slot->ghost : std::nullopt;
    int const lost = slot ? slot->lost_ticks : 0;
    Term const last_term = slot ? slot->last_term : 0;
    slot.emplace(make(i, incarnation, stored, nullptr, clock));
    slot->durable = stored;
    slot->incarnation = incarnation;
    slot->clock = clock;
    slot->guard_end = guard_end;
    slot->ghost = ghost;
    slot->lost_ticks = lost;
    slot->last_term = last_term;
    Effects out;
    slot->m.advance(at_time(clock), out);
    after(i, out);
}

// ---- the world's own steps -------------------------------------------------------------------------------------------------------

void World::perform(int i, Effects& out) {
    Member& n = at_(i);
    Effects more;
    for (auto const& e : out) {
        if (auto const* h = std::get_if<effect::SendHeartbeat>(&e)) {
            auto& l = link[static_cast<std::size_t>(i)];
            l.push_back(h->heartbeat);
            if (l.size() > static_cast<std::size_t>(bounds.memory)) l.erase(l.begin());
        } else if (auto const* c = std::get_if<effect::DiskCycle>(&e)) {
            n.cycle = {Cycle::Phase::written, c->id, c->mine, {}, n.clock};
            n.ghost.reset();  // nothing of an older incarnation is pending once this one writes
        } else if (auto const* r = std::get_if<effect::DiskRead>(&e)) {
            event::DiskReadDone done;  // prompt: what a slow one may show, a cycle shows as well
            done.id = r->id;
            done.started = n.clock;
            done.own = disk[static_cast<std::size_t>(i)];
            done.peer = disk[static_cast<std::size_t>(1 - i)];
            done.disk = disk_store;
            n.m.on_read(at_time(n.clock), done, more);
        } else if (auto const* p = std::get_if<effect::Permit>(&e)) {
            n.guard_end = p->end;
        }
    }
    out.clear();
    if (!more.empty()) perform(i, more);
}

void World::after(int i, Effects& out) {
    perform(i, out);
    Member& n = at_(i);
    if (n.m.role() != Role::alone) n.took = n.by_force = false;
    if (n.m.forced()) n.by_force = true;
    if (n.m.role() != Role::seeking && n.m.permitted(at_time(n.clock))) n.m.around.anything_running = true;
    if (!n.stores && n.m.wanted_terms() != n.durable) {
        n.stores = true;
        n.storing = n.m.wanted_terms();
    }
    if (bounds.force) excuse_the_forced();
}

void World::tick(int slow) {
    for (int i = 0; i < 2; ++i) {
        if (!nodes[static_cast<std::size_t>(i)]) continue;
        Member& n = at_(i);
        if (n.lost_ticks > 0) --n.lost_ticks;
        if (i == slow) {
            n.lost_ticks = bounds.permit;
            continue;
        }
        n.clock = n.clock + tick_length;
        n.looked = false;
    }
    if (bounds.force) excuse_the_forced();
}

void World::crash(int i, Move how) {
    Member& n = at_(i);
    bool const pending = n.cycle.phase == Cycle::Phase::written;
    if (pending && how == Move::crash_landed) disk[static_cast<std::size_t>(i)] = n.cycle.mine;
    if (pending && how == Move::crash_later) n.ghost = n.cycle.mine;
    start(i, n.incarnation + 1);
}

bool World::possible(Choice c) const {
    if (c.move == Move::tick) return true;
    if (c.move == Move::tick_slow_a || c.move == Move::tick_slow_b) {
        int const i = c.move == Move::tick_slow_a ? 0 : 1;
        return bounds.drift && nodes[static_cast<std::size_t>(i)] && at_(i).lost_ticks == 0;
    }
    if (c.move == Move::switch_on) return bounds.force && !nodes[static_cast<std::size_t>(c.node)];
    if (!nodes[static_cast<std::size_t>(c.node)]) return false;
    Member const& n = at_(c.node);
    auto const& mail = link[static_cast<std::size_t>(1 - c.node)];
    switch (c.move) {
    case Move::advance: return !n.looked;
    case Move::deliver: return !mail.empty();
    case Move::deliver_older: return mail.size() > 1;
    case Move::land: return n.cycle.phase == Cycle::Phase::written;
    case Move::read: return n.cycle.phase == Cycle::Phase::landed;
    case Move::decide: return n.cycle.phase == Cycle::Phase::seen;
    case Move::fail: return n.cycle.phase != Cycle::Phase::none;
    case Move::persist: return n.stores;
    case Move::stop: return n.m.role() == Role::seeking && n.m.around.anything_running;
    case Move::take_over: return !n.took && n.m.may_take_over(at_time(n.clock + instant));
    case Move::crash_lost: return n.incarnation <= bounds.restarts;
    case Move::crash_landed:
    case Move::crash_later: return n.incarnation <= bounds.restarts && n.cycle.phase == Cycle::Phase::written;
    case Move::resume: return bounds.restarts > 0 && n.cycle.phase == Cycle::Phase::none && !n.ghost;
    case Move::ghost_lands: return n.ghost.has_value();
    case Move::force: return bounds.force && n.m.role() == Role::seeking && !nodes[static_cast<std::size_t>(1 - c.node)];
    default: return false;
    }
}

void World::choices(std::vector<Choice>& out) const {
    out.clear();
    for (Move m : {Move::tick, Move::tick_slow_a, Move::tick_slow_b})
        if (possible({m, 0})) out.push_back({m, 0});
    for (int i = 0; i < 2; ++i)
        for (int m = static_cast<int>(Move::advance); m <= static_cast<int>(Move::force); ++m)
            if (Choice const c{static_cast<Move>(m), i}; possible(c)) out.push_back(c);
}

void World::apply(Choice c) {
    if (c.move == Move::tick) return tick(-1);
    if (c.move == Move::tick_slow_a) return tick(0);
    if (c.move == Move::tick_slow_b) return tick(1);
    if (c.move == Move::switch_on) return start(c.node, 1);
    Member& n = at_(c.node);
    auto const mine = static_cast<std::size_t>(c.node);
    auto& mail = link[1 - mine];
    Now const now = at_time(n.clock);
    Effects out;
    event::CycleDone done;
    done.id = n.cycle.id;
    done.started = n.cycle.started;
    Role const role_was = n.m.role();
    Term const term_was = n.m.term();
    bool alone = false;
    switch (c.move) {
    case Move::advance:
        n.looked = true;
        n.m.advance(now, out);
        break;
    case Move::deliver:
    case Move::deliver_older: {
        auto const which = c.move == Move::deliver ? mail.end() - 1 : mail.begin();
        Heartbeat const h = *which;
        mail.erase(which);
        bool const was_forced = n.m.forced();
        n.m.on_heartbeat(now, h, out);
        bool const counted = n.m.peer().incarnation == h.incarnation;
        if (was_forced && counted && h.role != Role::seeking && n.m.forced()) rule = "a forced node goes on though the peer shows that it has a right";
        break;
    }
    case Move::land:
        disk[mine] = n.cycle.mine;
        n.cycle.phase = Cycle::Phase::landed;
        return;
    case Move::read:
        n.cycle.seen = disk[1 - mine];
        n.cycle.phase = Cycle::Phase::seen;
        return;
    case Move::decide:
        done.peer = n.cycle.seen;
        alone = role_was == Role::alone && n.cycle.mine.state == Role::alone;
        n.cycle = {};
        n.m.on_cycle(now, done, out);
        if (!n.m.forced() && n.m.permit_end() > n.guard_end) n.by_force = false;
        if (alone && n.m.role() == Role::alone && n.m.term() == term_was && done.peer.alone_term > term_was)
            rule = "a node stays alone though the disk shows a higher claim";
        break;
    case Move::fail:
        done.ok = false;
        n.cycle = {};
        n.m.on_cycle(now, done, out);
        break;
    case Move::persist:
        n.stores = false;
        n.durable = n.storing;
        n.m.persisted(now, n.durable, Duration{0}, out);
        break;
    case Move::stop:
        n.m.around.anything_running = false;
        if (!n.m.permitted(now)) n.guard_end = long_ago;  // a right of an older incarnation, which nothing uses any more
        return;
    case Move::take_over: n.took = true; return;
    case Move::crash_lost:
    case Move::crash_landed:
    case Move::crash_later: crash(c.node, c.move); return;
    case Move::resume: {
        ResumeState const r = n.m.resume(now);
        bool const running = n.m.around.anything_running;
        n.m = make(c.node, n.incarnation, n.durable, &r, n.clock);
        n.m.around.anything_running = running;
        n.stores = false;
        n.m.advance(now, out);
        break;
    }
    case Move::ghost_lands:
        disk[mine] = *n.ghost;
        n.ghost.reset();
        return;
    case Move::force:
        n.m.force(now);
        n.m.advance(now, out);
        break;
    default: return;
    }
    watch_rules(n, role_was, term_was);
    after(c.node, out);
}

// What is decided in a term must never come after what is decided in a higher one: a node's terms rise.
void World::watch_rules(Member& n, Role was, Term term_was) {
    Term const term = n.m.term();
    if (term == 0 || (term == term_was && n.m.role() == was)) return;
    if (term <= n.last_term) rule = "a node's term does not rise";
    n.last_term = std::max(n.last_term, term);
}

// ---- what must hold ----------------------------------------------------------------------------------------------------------------

bool World::valid(int i) const {
    auto const& n = nodes[static_cast<std::size_t>(i)];
    return n && n->guard_end > n->clock + instant;
}

// Where an operator forced one node and the other came back, two owners are his, until either has ended.
void World::excuse_the_forced() {
    bool const both = nodes[0] && nodes[1] && valid(0) && valid(1);
    excused = both && (excused || at_(0).by_force || at_(1).by_force);
}

char const* World::broken() const {
    if (rule) return rule;
    if (!nodes[0] || !nodes[1] || !valid(0) || !valid(1) || excused) return nullptr;
    bool const a = at_(0).m.role() == Role::alone, b = at_(1).m.role() == Role::alone;
    if (a && b) return "both nodes are alone with a valid permit";
    if (at_(0).took) return "A took over and has a permit while B has one";
    if (at_(1).took) return "B took over and has a permit while A has one";
    return nullptr;
}

// ---- starts ------------------------------------------------------------------------------------------------------------------------

// Does everything that waits, once. For reaching a start state only.
bool World::prompt_round() {
    bool any = false;
    for (int round = 0; round < 40; ++round) {
        bool moved = false;
        for (int i = 0; i < 2; ++i)
            for (Move m : {Move::advance, Move::persist, Move::land, Move::read, Move::decide, Move::deliver})
                if (Choice const c{m, i}; possible(c)) apply(c), moved = true;
        any = any || moved;
        if (!moved) break;
    }
    return any;
}

void World::settle(int rounds, bool link_whole) {
    for (int i = 0; i < rounds; ++i) {
        tick(-1);
        if (!link_whole) link[0].clear(), link[1].clear();
        prompt_round();
    }
}

World World::started(Bounds const& b, Start start) {
    World w(b);
    w.start(0, 1);
    if (start == Start::a_alone || start == Start::b_waits) {
        w.settle(4 * b.permit + 2 * b.suspect + 4, false);
        if (w.possible({Move::take_over, 0})) w.apply({Move::take_over, 0});
        w.start(1, 1);
        if (start == Start::b_waits) w.settle(2 * b.permit + 2 * b.suspect + 2, false);
        return w;
    }
    if (start == Start::b_off) return w;
    w.start(1, 1);
    if (start == Start::joined || start == Start::a_marked) w.settle(4, true);
    for (int i = 0; start == Start::a_marked && i < 2 * b.permit + 2; ++i) {
        w.tick(-1);
        w.link[0].clear();
        w.link[1].clear();
        // Its writes land and its reads fail, so that it stays in step 1.
        for (Move m : {Move::advance, Move::stop, Move::persist, Move::land, Move::fail})
            if (w.possible({m, 0})) w.apply({m, 0});
    }
    return w;
}

// ---- telling states apart ----------------------------------------------------------------------------------------------------------

namespace {

struct Hash {
    std::uint64_t h = 0x243F6A8885A308D3ULL;
    void add(std::uint64_t x) {
        h = (h ^ x) * 0x9E3779B97F4A7C15ULL;
        h ^= h >> 29;
    }
};

// Everything is told from the node's own present, so that the same situation later is the same state. What is long past is one.
struct Fold {
    Hash& hash;
    Instant now;
    Duration horizon;
    void time(Instant i) const {
        if (i == forever) return hash.add(1);
        if (now - i > horizon || i < Instant{0}) return hash.add(2);
        hash.add(static_cast<std::uint64_t>((i - now).count()) + (std::uint64_t{1} << 40));
    }
    void slot(Slot const& s, std::uint64_t base) const {
        hash.add(s.incarnation);
        hash.add(s.beat - base);
        hash.add(static_cast<std::uint64_t>(s.state) | s.alone_term << 8 | s.stopped_term << 24 | s.newest.term << 40 | s.newest.index << 50);
    }
    void terms(Terms const& t) const { hash.add(t.highest | t.joined << 16 | t.alone << 32); }
};

void fold_membership(Membership const& m, Fold const& f, Fold const& peers, std::uint64_t own_base, std::uint64_t peer_base) {
    Hash& h = f.hash;
    h.add(static_cast<std::uint64_t>(PEEK(m, role_)) | static_cast<std::uint64_t>(PEEK(m, step_)) << 4 |
          static_cast<std::uint64_t>(PEEK(m, heartbeat_owed_)) << 8 | static_cast<std::uint64_t>(PEEK(m, own_slot_read_)) << 9 |
          static_cast<std::uint64_t>(PEEK(m, peer_slot_known_)) << 10 | static_cast<std::uint64_t>(PEEK(m, baseline_known_)) << 11 |
          static_cast<std::uint64_t>(PEEK(m, disk_ok_)) << 12 | static_cast<std::uint64_t>(PEEK(m, disk_fresh_)) << 13 |
          static_cast<std::uint64_t>(PEEK(m, read_id_) != 0) << 14 | static_cast<std::uint64_t>(m.around.anything_running) << 15 | static_cast<std::uint64_t>(PEEK(m, reread_)) << 16 |
          static_cast<std::uint64_t>(PEEK(m, forcing_)) << 17 | static_cast<std::uint64_t>(PEEK(m, forced_)) << 18);
    f.terms(PEEK(m, wanted_));
    f.terms(PEEK(m, durable_));
    for (Instant const i : {PEEK(m, permit_end_), PEEK(m, started_), PEEK(m, r_last_), PEEK(m, last_grant_), PEEK(m, newest_echoed_), PEEK(m, last_echo_),
                            PEEK(m, next_cycle_), PEEK(m, next_read_), PEEK(m, next_heartbeat_), PEEK(m, peer_slot_seen_), PEEK(m, takeover_slot_seen_)})
        f.time(i);
    auto const heartbeat = [&](Heartbeat const& x) {
        h.add(x.incarnation | static_cast<std::uint64_t>(x.role) << 8 | x.highest << 16 | x.own << 32);
        peers.time(x.sent);
    };
    heartbeat(PEEK(m, peer_));
    h.add(PEEK(m, greeting_).incarnation | PEEK(m, peer_incarnation_) << 8 | PEEK(m, joined_with_) << 16 | PEEK(m, former_)[0] << 24);
    peers.time(PEEK(m, greeting_).sent);
    h.add(PEEK(m, joined_term_) | PEEK(m, granted_term_) << 16 | PEEK(m, last_joined_) << 32 | PEEK(m, foreign_) << 48);
    h.add(PEEK(m, alone_term_) | PEEK(m, was_in_) << 16 | PEEK(m, offer_).term << 32 | PEEK(m, offer_).to << 48);
    h.add(PEEK(m, accepting_) | PEEK(m, claim_) << 16 | PEEK(m, takeover_slot_term_) << 32);
    auto const& flight = PEEK(m, flight_);
    h.add(flight.id == 0 ? 0 : 1 + static_cast<std::uint64_t>(flight.stint == PEEK(m, stint_)) * 2 + static_cast<std::uint64_t>(flight.step) * 4);
    f.slot(PEEK(m, own_slot_), own_base);
    f.slot(PEEK(m, peer_slot_), peer_base);
    h.add(PEEK(m, baseline_known_) ? PEEK(m, baseline_beat_) - peer_base : 0);
    h.add(static_cast<std::uint64_t>(m.cycle_p99().count()));
}

}  // namespace

std::uint64_t World::fingerprint() const {
    Hash h;
    h.add(static_cast<std::uint64_t>(excused));
    Duration const horizon = (2 * bounds.permit + 2 * bounds.suspect + 4) * tick_length;
    std::array<std::uint64_t, 2> base{disk[0].beat, disk[1].beat};
    std::array<Instant, 2> clock{};
    for (std::size_t i = 0; i < 2; ++i)
        if (nodes[i]) clock[i] = nodes[i]->clock;
    for (std::size_t i = 0; i < 2; ++i) {
        Fold const f{h, clock[i], horizon}, peers{h, clock[1 - i], horizon};
        f.slot(disk[i], base[i]);
        for (auto const& x : link[i]) {
            h.add(x.incarnation | static_cast<std::uint64_t>(x.role) << 8 | x.highest << 16 | x.own << 32 | x.offer.term << 48);
            h.add(x.echo.incarnation | x.greeting.incarnation << 8 | x.offer.to << 16);
            f.time(x.sent);
            peers.time(x.echo.sent);
            peers.time(x.greeting.sent);
        }
        h.add(link[i].size());
        if (!nodes[i]) continue;
        Member const& n = *nodes[i];
        fold_membership(n.m, f, peers, base[i], base[1 - i]);
        h.add(static_cast<std::uint64_t>(n.cycle.phase) | static_cast<std::uint64_t>(n.stores) << 4 | static_cast<std::uint64_t>(n.looked) << 5 |
              static_cast<std::uint64_t>(n.took) << 6 | static_cast<std::uint64_t>(n.by_force) << 7 | static_cast<std::uint64_t>(n.incarnation) << 8 | static_cast<std::uint64_t>(n.lost_ticks) << 16 |
              static_cast<std::uint64_t>(n.ghost.has_value()) << 24);
        if (n.cycle.phase != Cycle::Phase::none) {
            f.slot(n.cycle.mine, base[i]);
            f.slot(n.cycle.seen, base[1 - i]);
            f.time(n.cycle.started);
        }
        if (n.ghost) f.slot(*n.ghost, base[i]);
        f.terms(n.durable);
        if (n.stores) f.terms(n.storing);
        f.time(n.guard_end);
        h.add(n.last_term);
    }
    return h.h;
}

std::string World::show() const {
    std::string s;
    for (int i = 0; i < 2; ++i) {
        if (!nodes[static_cast<std::size_t>(i)]) continue;
        Member const& n = at_(i);
        static char const* const roles[] = {"seeking", "alone", "joined"};
        ResumeState const r = n.m.resume(at_time(n.clock));
        auto const ticks = [&](Instant x) { return x <= long_ago ? std::string("-") : std::to_string((x - n.clock).count() / tick_length.count()); };
        s += std::string("     ") + (i == 0 ? "A" : "B") + std::to_string(n.incarnation) + " " + roles[static_cast<int>(n.m.role())] + " permit " +
             ticks(n.guard_end) + " r_last " + ticks(r.r_last) + " joined " + std::to_string(r.joined_term) + " granted " + std::to_string(r.granted_term) +
             " alone " + std::to_string(r.alone_term) + (n.took ? " TOOK" : "") + " | slot " + roles[static_cast<int>(disk[static_cast<std::size_t>(i)].state)] +
             " alone-term " + std::to_string(disk[static_cast<std::size_t>(i)].alone_term) + " stopped-term " +
             std::to_string(disk[static_cast<std::size_t>(i)].stopped_term) + "\n";
    }
    return s;
}

}  // namespace clusterd::exhaustive
