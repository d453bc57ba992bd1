#include "clusterd/shell/worker.hpp"

#include "clusterd/wire/config_hash.hpp"
#include "config/parse.hpp"
#include "config/values.hpp"

#include <algorithm>
#include <set>

namespace clusterd {

namespace {

constexpr std::string_view macs_word = "macs";  // a line of the shell's own to the peer: this node's interfaces
constexpr Duration alive_pace = std::chrono::milliseconds(900);  // the guard's watchdog wants a sign once a second

}  // namespace

Result<ConfigPtr> make_config(std::string xml, std::string const& file_name) {
    ParseResult parsed = parse_config(xml, file_name);
    if (!parsed.spec) {
        std::string all;
        for (auto const& p : parsed.problems)
            if (!p.warning) all += (all.empty() ? "" : "\n") + format(p, file_name);
        return Error{all};
    }
    auto config = std::make_shared<Config>();
    config->hash = hash_config(xml);
    config->xml = std::move(xml);
    config->spec = std::move(*parsed.spec);
    return ConfigPtr(std::move(config));
}

// ---- birth ------------------------------------------------------------------------------------------------------------------

Worker::Worker(AsioLoop& loop, WorkerStart start)
    : loop_(loop),
      options_(std::move(start.options)),
      key_(start.key),
      self_(start.node.self),
      shared_(start.shared),
      store_(std::move(start.store)),
      node_(std::make_unique<Node>(start.node, loop.now())),
      shown_config_(node_->config()),
      late_window_(loop.now().mono),
      warnings_(std::move(start.warnings)),
      resumed_(start.node.resume.has_value()) {
    Spec const& spec = node_->spec();
    name_ = spec.nodes[at(self_)].name;
    history_.emplace(name_, options_.state_dir, *store_, Log(options_.log_format));
    revisions_.emplace(options_.state_dir, *store_);
    guard_ = std::make_unique<GuardClient>(start.guard_fd, [this](GuardEvent e) { loop_.post([this, e] { on_guard(e); }); });
    hosts_ = std::make_unique<Hosts>(loop_, *guard_, [this](Event e) { happen(std::move(e)); });
    emergency_thread_ = std::make_unique<IoThread>("emergency", loop_);
    gate_ = std::make_unique<Gate>(loop_, GateOptions{.table = "clusterd_" + std::to_string(at(self_)),
                                                      .renew_every = spec.timing.permit / 4,
                                                      .interfaces = {},
                                                      .notify = [this](std::string const& m) { note(EventKind::address_gate, Severity::warning, "address gate: " + m); }});
    keeper_ = std::make_unique<AddressKeeper>(
        loop_, spec.nodes[at(other(self_))].name,
        AddressKeeper::Callbacks{.announce = [this](std::string const& resource, int times) { hosts_->announce(resource, times); },
                                 .record = [this](effect::RecordEvent const& e) { record(e); },
                                 .own_macs_changed = [this] { send_own_macs(); }});
    heard_.assign(spec.nodes[at(self_)].links.size(), long_ago);
    links_ = std::make_unique<Links>(loop_, spec, self_, key_,
                                     Links::Callbacks{[this](Heartbeat const& h, int link) { heard(link); happen(event::HeartbeatReceived{h, link}); },
                                                      [this](Severity s, std::string m) { note(EventKind::link_problem, s, m); }});
    auto const parse = [](std::string const& xml) { return make_config(xml, "the cluster's configuration"); };
    replica_ = std::make_unique<Replica>(
        loop_, spec, self_, start.node.incarnation, key_,
        Replica::Callbacks{.up = [this](Incarnation) { send_own_macs(); send_own_events(); if (standby_) standby_->peer_up(); happen(event::SyncUp{}); },
                           .down = [this](std::string const&) { happen(event::SyncDown{}); },
                           .message = [this](SyncMessage m) { happen(event::SyncReceived{std::move(m)}); },
                           .aux =
                               [this](std::string const& line) {
                                   if (take_macs(line) || (standby_ && standby_->take(line))) return;
                                   auto const parsed = parse_events("{\"events\":[" + line + "]}");
                                   if (!parsed) return;
                                   for (auto const& e : *parsed)
                                       if (e.node != name_ && history_->take(e) && api_) api_->event_recorded(e);
                               },
                           .known = [this](Hash const& h) { return known_config(h); },
                           .parse = parse,
                           .note = [this](Severity s, std::string m) { note(EventKind::sync_problem, s, m); },
                           .link_up = [this](int link) { return links_->up(link); }});
    watch_networks();
    if (spec.quorum_disk) {
        quorum_ = std::make_unique<QuorumDisk>(QuorumDisk::Options{.path = *spec.quorum_disk,
                                                                   .cluster = spec.cluster,
                                                                   .self = self_,
                                                                   .key = key_,
                                                                   .lock_dir = options_.state_dir,
                                                                   .parse_config = parse,
                                                                   .on_event = [this](Event e) { happen(std::move(e)); },
                                                                   .slow = spec.timing.permit / 5,
                                                                   .hung = spec.timing.permit},
                                               loop_);
        if (store_->loaded().cluster != Uuid{}) quorum_->set_expected_uuid(store_->loaded().cluster);
    }
    configured();
    standby_ = std::make_unique<Standby>(loop_, *hosts_, self_,
                                         Standby::Callbacks{.config = [this] { return node_->config(); },
                                                            .decision = [this] { return node_->decision(); },
                                                            .node = [this] { return node_lacks(); },
                                                            .tell = [this](std::string const& line) {
                                                                if (replica_ && replica_->up()) replica_->send_aux(line);
                                                            }});
}

Worker::~Worker() = default;

Result<Done> Worker::open() {
    for (auto const& w : warnings_) note(EventKind::start_warning, Severity::warning, w);
    if (!addresses_.empty()) {
        if (!no_gate_.empty()) return Error{no_gate_};
        if (auto const swept = sweep(); !swept) return swept;
    }
    try {
        api_ = std::make_unique<ApiServer>(loop_, options_.run_dir + "/clusterd.sock", static_cast<ApiBackend&>(*this));
    } catch (std::exception const& e) {
        return Error{e.what()};
    }
    return Done{};
}

void Worker::start() {
    guard_->ready();
    happen(event::Tick{});
}

// ---- events -----------------------------------------------------------------------------------------------------------------

void Worker::happen(Event event) {
    queue_.push_back(std::move(event));
    if (handling_) return;  // an effect of the event under way: it waits its turn
    handling_ = true;
    while (!queue_.empty()) {
        Event const e = std::move(queue_.front());
        queue_.pop_front();
        handle(e);
    }
    handling_ = false;
    arm_timer();
}

void Worker::handle(Event const& event) {
    Now const now = loop_.now();
    if (auto const* changed = std::get_if<event::ResourceChanged>(&event)) on_resource(*changed);
    Effects const effects = node_->step(now, event);
    if (shared_) {
        ResumeState const resume = node_->resume_state();
        shared_->write_resume(&resume, sizeof resume);
        if (told_role_ != resume.role) {
            char const* const words[] = {"seeks its peer and the quorum disk", "alone: holds the quorum disk", "joined with its peer"};
            told_role_ = resume.role;
            keeper_->role(resume.role);
            guard_->status_line(words[static_cast<int>(resume.role)]);
        }
        shared_->idle.store(node_->idle() ? 1 : 0);
        shared_->alive.fetch_add(1);
    }
    note_revision();
    if (node_->config() != shown_config_) configured();  // first: the effects may be about resources that it brings
    for (auto const& e : effects) std::visit([this](auto const& effect) { do_effect(effect); }, e);
    if (DecisionPtr const d = node_->decision(); quorum_ && d && d->cluster != expected_cluster_) {
        expected_cluster_ = d->cluster;
        quorum_->set_expected_uuid(expected_cluster_);
    }
}

void Worker::arm_timer() {
    Instant const at = std::min(node_->next_wakeup(), loop_.now().mono + alive_pace);
    if (timer_ && at == timer_for_) return;
    timer_for_ = at;
    timer_ = loop_.at(at, [this, at] {
        Instant const now = loop_.now().mono;
        // How late this came is how long a decision may come late: the peer is told the worst of the last second.
        late_worst_ = std::max(late_worst_, now - at);
        timer_for_ = forever;
        if (now - late_window_ >= std::chrono::seconds(1)) {
            auto const us = std::chrono::duration_cast<std::chrono::microseconds>(late_worst_).count();
            late_window_ = now;
            late_worst_ = Duration{0};
            happen(event::Measured{static_cast<std::uint32_t>(std::min<std::int64_t>(us, INT32_MAX))});
            return;
        }
        happen(event::Tick{});
    });
}

void Worker::on_guard(GuardEvent const& e) {
    switch (e.kind) {
    case GuardEvent::Kind::exited: break;  // the agent host's business
    case GuardEvent::Kind::host_gone: hosts_->host_gone(e.host); break;
    case GuardEvent::Kind::leave: happen(event::LeaveRequested{}); break;
    case GuardEvent::Kind::emergency_done:
        nothing_is_online();
        happen(event::EmergencyStopped{e.proven, e.message});
        break;
    case GuardEvent::Kind::closed: loop_.stop(); break;  // the guard is gone: so are we
    }
}

std::string const* Worker::address_of(std::string const& resource) const {
    auto const it = addresses_.find(resource);
    return it == addresses_.end() ? nullptr : &it->second;
}

// The gate is open for an address exactly while its resource is, or is being put, online here.
void Worker::on_resource(event::ResourceChanged const& e) {
    std::string const* address = address_of(e.resource);
    if (!address) return;
    keeper_->online(e.resource, e.state == ResourceState::online);
    auto const done = e.state == ResourceState::online ? gate_->allow(*address) : gate_->disallow(*address);
    if (!done && gate_->state() != Gate::State::unavailable) note(EventKind::address_gate, Severity::error, "address gate: " + done.error());
}

void Worker::permit(Instant end) {
    bool const had = permit_told_ > loop_.now().mono;
    permit_told_ = end;
    if (shared_) {
        shared_->permit_end_ns.store(end > loop_.now().mono ? end.ns : 0);
        if (!had && end > loop_.now().mono) guard_->permit_began();
    }
    gate_->permit(end);
    hosts_->perform(effect::Permit{end});
}

void Worker::nothing_is_online() {
    for (auto const& [resource, address] : addresses_) (void)gate_->disallow(address);
    keeper_->nothing_online();
}

// A link over which nothing came for a while: a switch may have learned in between that an address is elsewhere, or forgotten where.
void Worker::heard(int link) {
    Instant const now = loop_.now().mono;
    Instant& last = heard_.at(static_cast<std::size_t>(link));
    bool const back = last != long_ago && now - last > 2 * node_->spec().timing.suspect;
    last = now;
    if (back) keeper_->healed();
}

// Waits for the guard's answer on a thread of its own: heartbeats go on meanwhile.
void Worker::emergency() {
    nothing_is_online();
    auto const back = emergency_thread_->back();
    emergency_thread_->run([this, back] {
        auto const stopped = guard_->emergency_stop();
        bool const proven = static_cast<bool>(stopped);
        back->post([this, proven, message = proven ? std::string() : stopped.error()] { happen(event::EmergencyStopped{proven, message}); });
    });
}

// ---- history ------------------------------------------------------------------------------------------------------------------

void Worker::record(effect::RecordEvent const& e) {
    EventRecord const r = history_->add(loop_.now(), e);
    if (api_) api_->event_recorded(r);
    if (replica_ && replica_->up()) replica_->send_aux(event_json(r));
}

void Worker::note(EventKind kind, Severity severity, std::string const& message) { record({severity, "", "", message, kind}); }

void Worker::send_own_events() {
    for (auto const& e : history_->own_events(200)) replica_->send_aux(event_json(e));
}

// The peer must know which machines are the cluster's own, so that it takes none of them for a stranger.
void Worker::send_own_macs() {
    if (!replica_ || !replica_->up() || keeper_->own_macs().empty()) return;
    std::string line(macs_word);
    for (auto const& mac : keeper_->own_macs()) line += " " + net::format_mac(mac);
    replica_->send_aux(line);
}

bool Worker::take_macs(std::string const& line) {
    auto const words = split_blanks(line);
    if (words.empty() || words.front() != macs_word) return false;
    std::vector<net::Mac> macs;
    for (std::size_t i = 1; i < words.size() && i < 1024; ++i)
        if (auto const mac = net::parse_mac(words[i])) macs.push_back(*mac);
    keeper_->peer_macs(std::move(macs));
    return true;
}

ConfigPtr Worker::known_config(Hash const& hash) const {
    if (shown_config_ && shown_config_->hash == hash) return shown_config_;
    auto const stored = store_->loaded().decision;
    if (stored && stored->config && stored->config->hash == hash) return stored->config;
    return nullptr;
}

// ---- effects ------------------------------------------------------------------------------------------------------------------

void Worker::do_effect(effect::SendHeartbeat const& e) { links_->send(e.heartbeat); }
void Worker::do_effect(effect::SendSync const& e) { replica_->send(e.message); }
void Worker::do_effect(effect::Persist const& e) { store_->persist(e); }
void Worker::do_effect(effect::DiskCycle const& e) {
    if (quorum_) quorum_->cycle(e.id, e.mine);
}
void Worker::do_effect(effect::DiskRead const& e) {
    if (quorum_) quorum_->read(e.id);
}
void Worker::do_effect(effect::DiskStoreDecision const& e) {
    if (quorum_) quorum_->store_decision(e.id, e.decision, e.area);
}
void Worker::do_effect(effect::DiskLoadDecisions const& e) {
    if (quorum_) quorum_->load_decisions(e.id);
}
void Worker::do_effect(effect::Permit const& e) { permit(e.end); }

void Worker::do_effect(effect::ResourceAction const& e) {
    if (e.kind == ActionKind::start && !no_gate_.empty() && address_of(e.resource)) {
        happen(event::ResourceChanged{e.resource, e.action, ResourceState::failed, no_gate_ + ". Then restart clusterd on this node", false});
        return;
    }
    if (std::string const* address = address_of(e.resource); address && e.kind == ActionKind::start) (void)gate_->allow(*address);
    if (e.kind == ActionKind::stop || e.kind == ActionKind::kill) keeper_->online(e.resource, false);
    hosts_->perform(e);
}
void Worker::do_effect(effect::Checks const& e) { hosts_->perform(e); }
void Worker::do_effect(effect::EmergencyStop const&) { emergency(); }
// By way of the loop: it is an operator's command like any other, whose answer nobody waits for.
void Worker::do_effect(effect::RevertConfiguration const& e) {
    Command command;
    command.id = "revert-" + name_ + "-" + std::to_string(loop_.now().wall_ms);
    command.verb = Verb::apply;
    command.user = "clusterd";
    command.reason = "not confirmed in time";
    command.base = e.base;
    auto config = make_config(e.xml, "the configuration before");
    if (!config) {  // of an older clusterd, perhaps: tried again and again, and told once
        if (std::exchange(unreverted_, e.base) != e.base) note(EventKind::config_reverted, Severity::error, "the configuration before can't be taken back: " + config.error() + "; apply one by hand, or confirm this one");
        return;
    }
    command.config = *config;
    loop_.post([this, command] { happen(event::CommandGiven{command}); });
}
void Worker::do_effect(effect::CommandUpdate const& e) {
    if (api_) api_->command_update(e);
}
void Worker::do_effect(effect::RecordEvent const& e) { record(e); }

void Worker::do_effect(effect::RecordFailover const& e) {
    if (!e.mine) {
        history_->take(e.record);
        return;
    }
    FailoverRecord const r = history_->add(e.record);
    if (replica_->up()) replica_->send(sync::History{r});
}

void Worker::do_effect(effect::Left const&) {
    guard_->left();
    loop_.stop();
}

// ---- what the API asks ----------------------------------------------------------------------------------------------------------

Status Worker::status() {
    Now const now = loop_.now();
    Status s = node_->status(now);
    auto const links = links_->info();
    for (std::size_t i = 0; i < links.size(); ++i) {
        LinkInfo const& l = links[i];
        std::int64_t const heard = l.last_heard == long_ago ? -1 : to_ms(now.mono - l.last_heard);
        for (auto n : {NodeIndex::a, NodeIndex::b}) {
            if (i >= s.nodes[at(n)].links.size()) continue;
            LinkStatus& link = s.nodes[at(n)].links[i];
            // A node's own end counts as up while it is bound; whether anything comes through is seen at the peer's.
            link.up = l.up;
            link.last_heard_ms = heard;
        }
    }
    for (auto& w : links_->warnings()) s.warnings.push_back(std::move(w));
    if (watchdog_seconds_ > 0) s.watchdog_device = watchdog_->device, s.watchdog_ms = std::int64_t{watchdog_seconds_} * 1000;
    if (!watchdog_problem_.empty()) s.warnings.push_back(watchdog_problem_);
    // Without a link that works it is no wonder, and said there.
    bool const any_link = std::any_of(links.begin(), links.end(), [](LinkInfo const& l) { return l.up; });
    if (SyncInfo const sync = replica_->info(); any_link && !sync.up && !sync.problem.empty())
        s.warnings.push_back("no decision reaches the other node: " + sync.problem);
    if (quorum_) {
        QuorumHealth const health = quorum_->health();
        if (health.state == QuorumState::uninitialised || (health.state == QuorumState::failed && !health.message.empty())) {
            s.quorum.state = health.state;
            s.quorum.message = health.message;
        } else if (health.state == QuorumState::slow && s.quorum.state == QuorumState::ok) {
            s.quorum.state = QuorumState::slow;
            s.quorum.message = health.message;
        }
        if (!health.warning.empty()) s.warnings.push_back("quorum disk: " + health.warning);
        auto const cycles = quorum_->latency();
        auto const reads = quorum_->read_latency();
        if (cycles.count > 0) s.quorum.latency_ms = to_ms(cycles.p50);
        else if (reads.count > 0) s.quorum.latency_ms = to_ms(reads.p50);
    }
    if (!addresses_.empty() && gate_->state() == Gate::State::unavailable)
        s.warnings.push_back(gate_->reason() + ". Should every process of clusterd freeze, an address is taken off by its lifetime (valid_lft) alone");
    else if (!addresses_.empty() && gate_->state() != Gate::State::active)
        s.warnings.push_back("the address gate does not stand: " + gate_->reason());
    for (auto& c : keeper_->concerns()) s.warnings.push_back(std::move(c));
    if (std::string const error = store_->last_error(); !error.empty())
        s.warnings.push_back("the state directory can't be written: " + error + "; until it can, nothing new is decided or taken over here");
    if (std::string const error = history_->last_error(); !error.empty())
        s.warnings.push_back("events and failovers are not kept over a restart: " + error);
    for (auto const& w : warnings_) s.warnings.push_back(w);
    NodeState const peer = s.nodes[at(other(self_))].state;
    for (auto& w : standby_->warnings(peer == NodeState::up || peer == NodeState::paused)) s.warnings.push_back(std::move(w));
    return s;
}

void Worker::submit(Command command) {
    if (command.config) {
        auto config = make_config(command.config->xml, "the configuration");
        if (!config) {
            do_effect(effect::CommandUpdate{command.id, Outcome::refused, "nothing was changed: " + config.error()});
            return;
        }
        command.config = *config;
    }
    happen(event::CommandGiven{std::move(command)});
}
void Worker::abandon(std::string const& id) { happen(event::CommandAbandoned{id}); }
std::vector<EventRecord> Worker::events(std::string const& after_id, std::size_t limit) { return history_->events(after_id, limit); }
std::vector<FailoverRecord> Worker::failovers() { return history_->failovers(); }
std::string Worker::config_xml() { return node_->config() ? node_->config()->xml : ""; }

TimingInfo Worker::timing() {
    TimingInfo t;
    t.timing = node_->spec().timing;
    if (quorum_) {
        auto const l = quorum_->latency();
        if (l.count > 0) t.cycle_p99 = l.p99, t.cycle_max = l.max;
    }
    if (auto const l = store_->sync_latency(); l.count > 0) t.fsync_p99 = l.p99, t.fsync_max = l.max;
    t.worst_margin_ms = node_->status(loop_.now()).worst_margin_ms;
    return t;
}

}  // namespace clusterd
