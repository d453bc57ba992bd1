#include "clusterd/store/store.hpp"

#include "clusterd/store/files.hpp"
#include "clusterd/store/record.hpp"
#include "clusterd/wire/config_hash.hpp"
#include "clusterd/wire/decision.hpp"

#include <algorithm>
#include <mutex>
#include <set>
#include <sodium.h>
#include <unistd.h>

namespace clusterd {

using store::Commit;

namespace {

constexpr std::size_t max_config = 4u << 20;
constexpr std::size_t decision_room = 256u << 10;  // made at once, so that a full filesystem doesn't stop the first failover
constexpr std::size_t configs_kept = 10;

std::string terms_name(int copy) { return "terms." + std::to_string(copy); }
std::string decision_name(int copy) { return "decision." + std::to_string(copy); }
std::string config_name(Hash const& hash) { return "config-" + to_hex(hash) + ".xml"; }
std::optional<Hash> config_of(std::string const& name) {
    if (name.size() != 75 || name.rfind("config-", 0) != 0 || name.substr(71) != ".xml") return std::nullopt;
    auto const hash = hash_from_hex(name.substr(7, 64));
    return hash ? std::optional<Hash>(*hash) : std::nullopt;
}

// What helps when the store can't be used. Never an older copy: a node that forgets a term can break the cluster's promise.
std::string advice(std::string const& dir, std::string_view why = {}) {
    if (why.find("install the ") != std::string_view::npos) return {};  // of another version: nothing is damaged, nothing to be emptied
    return ". Starting with an older state could put a group online twice, so the start is refused. If the disk is sound, empty " + dir +
           ": the node comes back with a blank store and gets its state from the other node";
}

}  // namespace

struct StateStore::State {
    Options options;
    store::Directory dir;
    store::Fd lock;
    std::array<store::Fd, 2> terms, decisions;
    std::shared_ptr<IoThread::Back> back;

    // The I/O thread's (and open()'s, before it):
    Commit committed;            // durable, in terms.(1 - next_terms)
    std::uint64_t sequence = 0;  // the highest ever tried
    int next_terms = 0;
    bool terms_dirty = false;    // a write of terms.next_terms failed: it may hold something that was never promised
    DecisionPtr stored;
    std::set<Hash> configs;      // whose file is there, right and durable
    std::vector<Hash> named;     // by the last two decisions

    mutable std::mutex mutex;
    std::deque<effect::Persist> waiting;
    LatencyHistogram syncs;
    std::string error;

    int timed_sync(int fd) {
        Instant const began = boottime_now();
        int const result = options.sync ? options.sync(fd) : ::fdatasync(fd);
        if (result != 0) return result;
        std::lock_guard const guard(mutex);
        syncs.add(boottime_now() - began);
        return result;
    }
    store::Sync sync() {
        return [this](int fd) { return timed_sync(fd); };
    }

    Result<Done> create();
    Result<Done> sync_everything();
    Result<Done> read_terms(std::vector<std::string>& warnings);
    Result<Done> read_configs(std::vector<std::string>& warnings);
    Result<DecisionPtr> read_decision();
    Result<Done> rewrite(std::string const& decision_bytes);
    Result<Done> write_commit(Commit next);
    Result<Done> write_decision(Decision const& decision, Commit& next);
    Result<Done> write(Terms const& newest, DecisionPtr const& decision);
    void prune();
    void drain();
    std::string decision_bytes;  // read_decision's, for rewrite
};

// `store` comes last: without it nothing else counts, and all is made again.
Result<Done> StateStore::State::create() {
    std::string rest;  // of an older store, which isn't one that was only being made
    for (int copy = 0; copy < 2; ++copy) {
        if (!dir.has(terms_name(copy))) continue;
        auto const old = dir.read(terms_name(copy), store::block);
        auto const found = old ? store::decode_commit(*old) : store::CommitBlock{};
        if (found.newer != 0) return Error{dir.path(terms_name(copy)) + ": " + store::another_version(found.newer)};
        if (!old || (found.newest && found.newest->sequence > 2)) rest = terms_name(copy);
    }
    if (!rest.empty()) return Error{dir.path("store") + " is missing, but " + dir.path(rest) + " is there" + advice(options.dir)};
    for (int copy = 0; copy < 2; ++copy) {
        Commit first;
        first.sequence = static_cast<std::uint64_t>(copy) + 1;
        if (auto const made = dir.replace(terms_name(copy), store::encode_commit(first), sync()); !made) return made;
        if (auto const made = dir.replace(decision_name(copy), std::string(decision_room, '\0'), sync()); !made) return made;
    }
    StoreId id = 0;
    while (id == 0) randombytes_buf(&id, sizeof id);
    return dir.replace("store", store::encode_identity(id), sync());
}

// What an earlier process wrote counts only once it is durable (protocol.md, "Stores").
Result<Done> StateStore::State::sync_everything() {
    for (auto const& name : dir.names())
        if (auto const synced = dir.sync(name); !synced) return synced;
    if (auto const synced = dir.sync_self(); !synced) return synced;
    return dir.sync("..");  // its own name
}

Result<Done> StateStore::State::read_terms(std::vector<std::string>& warnings) {
    std::optional<Commit> newest;
    int newest_copy = 0;
    for (int copy = 0; copy < 2; ++copy) {
        auto const bytes = dir.read(terms_name(copy), store::block);
        if (!bytes) return Error{bytes.error() + advice(options.dir)};
        auto const found = store::decode_commit(*bytes);
        if (found.newer != 0) return Error{dir.path(terms_name(copy)) + ": " + store::another_version(found.newer)};
        if (found.right == 0)
            return Error{dir.path(terms_name(copy)) + " is damaged in every sector, which no interrupted write does, and it may have been the newest" + advice(options.dir)};
        if (found.mixed) warnings.push_back(dir.path(terms_name(copy)) + ": its last write never finished; repaired");
        if (found.right < 8) warnings.push_back(dir.path(terms_name(copy)) + ": " + std::to_string(8 - found.right) + " of 8 sectors were damaged; repaired");
        if (newest && newest->sequence >= found.newest->sequence) continue;
        newest = found.newest;
        newest_copy = copy;
    }
    committed = *newest;
    sequence = newest->sequence;
    next_terms = 1 - newest_copy;
    return Done{};
}

Result<Done> StateStore::State::read_configs(std::vector<std::string>& warnings) {
    for (auto const& name : dir.names()) {
        if (name.size() > 4 && name.substr(name.size() - 4) == ".tmp") dir.remove(name);
        auto const hash = config_of(name);
        if (!hash) continue;
        auto const xml = dir.read(name, max_config);
        if (xml && hash_config(*xml) == *hash) configs.insert(*hash);
        else warnings.push_back(dir.path(name) + " is damaged: " + (xml ? "its content doesn't have the hash of its name" : xml.error()));
    }
    return Done{};
}

Result<DecisionPtr> StateStore::State::read_decision() {
    if (committed.length == 0) return DecisionPtr{};
    std::string const name = decision_name(committed.copy);
    auto file = dir.read(name, store::decision_header_bytes + store::max_decision);
    if (!file) return Error{file.error() + advice(options.dir)};
    auto const content = store::decode_decision_file(*file, committed);
    if (!content) return Error{dir.path(name) + ": " + content.error() + advice(options.dir, content.error())};
    auto decoded = decode_decision(*content);
    if (!decoded) return Error{dir.path(name) + ": " + decoded.error() + advice(options.dir, decoded.error())};
    decision_bytes = std::string(*content);
    if (decoded->config != Hash{}) {
        std::string const config_file = config_name(decoded->config);
        if (configs.count(decoded->config) == 0)
            return Error{dir.path(config_file) + ", the configuration of the newest decision, is missing or damaged; restore it (the other node has it too, under the same name)" +
                         advice(options.dir)};
        auto xml = dir.read(config_file, max_config);
        if (!xml) return Error{xml.error()};
        auto config = options.parse_config(std::move(*xml));
        if (!config) return Error{dir.path(config_file) + ": " + config.error()};
        decoded->decision.config = *config;
        named = {decoded->config};
    }
    return DecisionPtr(std::make_shared<Decision const>(std::move(decoded->decision)));
}

// After an fsync that failed in an earlier process the kernel may show what the disk never got, and a new fsync won't write it:
// so what was read is written again, the same bytes to the same place.
Result<Done> StateStore::State::rewrite(std::string const& bytes) {
    for (int copy = 0; copy < 2; ++copy) {
        auto t = dir.open_for_writing(terms_name(copy));
        if (!t) return Error{t.error()};
        terms[static_cast<std::size_t>(copy)] = std::move(*t);
        auto d = dir.open_for_writing(decision_name(copy));
        if (!d) return Error{d.error()};
        decisions[static_cast<std::size_t>(copy)] = std::move(*d);
    }
    if (!bytes.empty())
        if (auto const done = store::overwrite(decisions[committed.copy], store::encode_decision_file(bytes), dir.path(decision_name(committed.copy)), sync()); !done)
            return done;
    for (int n = 0; n < 2; ++n)
        if (auto const done = write_commit(committed); !done) return done;
    return Done{};
}

Result<Done> StateStore::State::write_commit(Commit next) {
    next.sequence = ++sequence;
    auto const copy = static_cast<std::size_t>(next_terms);
    terms_dirty = true;
    if (auto const done = store::overwrite(terms[copy], store::encode_commit(next), dir.path(terms_name(next_terms)), sync()); !done) return done;
    terms_dirty = false;
    committed = next;
    next_terms = 1 - next_terms;
    return Done{};
}

Result<Done> StateStore::State::write_decision(Decision const& decision, Commit& next) {
    std::string const bytes = encode_decision(decision);
    Hash const hash = store::hash_of(bytes);
    if (committed.length == bytes.size() && committed.decision == hash) return Done{};
    if (bytes.size() > store::max_decision) return Error{"a decision of " + std::to_string(bytes.size()) + " bytes can't be stored"};
    if (decision.config && configs.count(decision.config->hash) == 0) {
        if (auto const done = dir.replace(config_name(decision.config->hash), decision.config->xml, sync()); !done) return done;
        configs.insert(decision.config->hash);
    }
    next.copy = committed.length == 0 ? 0 : static_cast<std::uint8_t>(1 - committed.copy);
    next.length = bytes.size();
    next.decision = hash;
    return store::overwrite(decisions[next.copy], store::encode_decision_file(bytes), dir.path(decision_name(next.copy)), sync());
}

Result<Done> StateStore::State::write(Terms const& newest, DecisionPtr const& decision) {
    // Else a failed commit that did arrive might name the copy of the decision that is written next.
    if (terms_dirty)
        if (auto const done = write_commit(committed); !done) return done;
    Commit next = committed;
    next.terms = newest;
    bool const new_decision = decision && decision != stored;
    if (new_decision)
        if (auto const done = write_decision(*decision, next); !done) return done;
    if (auto const done = write_commit(next); !done) return done;
    if (!new_decision) return Done{};
    if (decision->config && (named.empty() || named.front() != decision->config->hash)) {
        named.insert(named.begin(), decision->config->hash);
        if (named.size() > 2) named.resize(2);
        prune();
    }
    stored = decision;
    return Done{};
}

void StateStore::State::prune() {
    std::size_t n = 0;
    for (auto const& name : dir.names()) {
        auto const hash = config_of(name);
        if (!hash || ++n <= configs_kept || std::find(named.begin(), named.end(), *hash) != named.end()) continue;
        configs.erase(*hash);
        dir.remove(name);
    }
}

// All that waits is one write: each Persist says all there is, and the last says the newest.
void StateStore::State::drain() {
    std::deque<effect::Persist> batch;
    {
        std::lock_guard const guard(mutex);
        batch.swap(waiting);
    }
    if (batch.empty()) return;
    DecisionPtr decision;
    for (auto const& p : batch)
        if (p.decision) decision = p.decision;
    auto const written = write(batch.back().terms, decision);
    std::string const why = written ? "" : written.error();
    {
        std::lock_guard const guard(mutex);
        error = why;
    }
    for (auto const& p : batch)
        back->post([on = &options.on_persisted, done = event::Persisted{p.ticket, bool(written), why}] { (*on)(done); });
}

Result<std::unique_ptr<StateStore>> StateStore::open(Options options, Loop& loop) {
    auto state = std::make_shared<State>();
    state->options = std::move(options);
    State& s = *state;
    auto dir = store::Directory::open(s.options.dir);
    if (!dir) return Error{dir.error()};
    s.dir = std::move(*dir);
    auto lock = s.dir.lock("lock", to_ms(s.options.lock_patience));
    if (!lock) return Error{lock.error()};
    s.lock = std::move(*lock);

    Loaded loaded;
    loaded.created = !s.dir.has("store");
    if (loaded.created)
        if (auto const made = s.create(); !made) return Error{made.error()};
    if (auto const synced = s.sync_everything(); !synced) return Error{synced.error()};
    auto const identity = s.dir.read("store", store::block);
    if (!identity) return Error{identity.error() + advice(s.options.dir)};
    auto const id = store::decode_identity(*identity);
    if (!id) return Error{s.dir.path("store") + ": " + id.error() + advice(s.options.dir, id.error())};
    loaded.id = *id;
    if (auto const read = s.read_terms(loaded.warnings); !read) return Error{read.error()};
    if (auto const read = s.read_configs(loaded.warnings); !read) return Error{read.error()};
    auto const decision = s.read_decision();
    if (!decision) return Error{decision.error()};
    s.stored = *decision;
    if (auto const written = s.rewrite(s.decision_bytes); !written) return Error{written.error()};
    s.decision_bytes.clear();
    loaded.terms = s.committed.terms;
    loaded.decision = s.stored;
    if (s.stored) loaded.cluster = s.stored->cluster;
    return std::unique_ptr<StateStore>(new StateStore(std::move(state), std::move(loaded), loop));
}

StateStore::StateStore(std::shared_ptr<State> state, Loaded loaded, Loop& loop)
    : state_(std::move(state)), loaded_(std::move(loaded)), thread_(std::make_unique<IoThread>("state-store", loop)) {
    state_->back = thread_->back();
}

void StateStore::persist(effect::Persist persist) {
    {
        std::lock_guard const guard(state_->mutex);
        state_->waiting.push_back(std::move(persist));
    }
    thread_->run([state = state_] { state->drain(); });
}

LatencyStats StateStore::sync_latency() const {
    std::lock_guard const guard(state_->mutex);
    return state_->syncs.stats();
}
std::optional<Duration> StateStore::in_flight() const {
    auto const since = thread_->busy_since();
    return since ? std::optional<Duration>(boottime_now() - *since) : std::nullopt;
}
std::string StateStore::last_error() const {
    std::lock_guard const guard(state_->mutex);
    return state_->error;
}

}  // namespace clusterd
