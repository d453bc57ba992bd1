#include "clusterd/shell/history.hpp"

#include "clusterd/wire/event_kinds.hpp"

#include <algorithm>
#include <charconv>

namespace clusterd {

namespace {
constexpr std::size_t events_kept = 5000, failovers_kept = 500;
constexpr std::uint64_t file_bytes = 8U << 20;
}  // namespace

History::History(std::string node, std::string const& state_dir, StateStore& store, Log log)
    : node_(std::move(node)),
      store_(store),
      log_(std::move(log)),
      event_file_(std::make_shared<Journal>(state_dir + "/events.jsonl", file_bytes)),
      failover_file_(std::make_shared<Journal>(state_dir + "/failovers.jsonl", file_bytes)) {
    for (auto const& line : event_file_->tail(events_kept)) {
        auto parsed = parse_events("{\"events\":[" + line + "]}");
        if (!parsed || parsed->size() != 1) continue;
        last_event_ = std::max(last_event_, number_of(parsed->front().id));
        events_.push_back(parsed->front());
    }
    for (auto const& line : failover_file_->tail(failovers_kept)) {
        auto parsed = parse_failover(line);
        if (!parsed) continue;
        last_failover_ = std::max(last_failover_, number_of(parsed->id));
        failovers_.push_back(*parsed);
    }
}

// 0: not one of this node's.
std::uint64_t History::number_of(std::string const& id) const {
    auto const dash = id.rfind('-');
    if (dash == std::string::npos) return 0;
    std::string_view owner(id.data(), dash);
    if (owner.starts_with("F-")) owner.remove_prefix(2);
    if (owner != node_) return 0;
    std::uint64_t n = 0;
    std::from_chars(id.data() + dash + 1, id.data() + id.size(), n);
    return n;
}

EventRecord History::add(Now now, effect::RecordEvent const& e) {
    EventRecord r{node_ + "-" + std::to_string(++last_event_), now.wall_ms, node_, std::string(spell(e.severity)), e.group, e.resource, e.message,
                  std::string(info_of(e.kind).name), e.evidence};
    log_.write(r);
    keep(r);
    return r;
}

FailoverRecord History::add(FailoverRecord r) {
    r.id = "F-" + node_ + "-" + std::to_string(++last_failover_);
    keep(r);
    return r;
}

bool History::take(EventRecord const& e) {
    if (std::any_of(events_.rbegin(), events_.rend(), [&](auto const& k) { return k.id == e.id; })) return false;
    keep(e);
    return true;
}

bool History::take(FailoverRecord const& f) {
    if (std::any_of(failovers_.begin(), failovers_.end(), [&](auto const& k) { return k.id == f.id; })) return false;
    keep(f);
    return true;
}

void History::keep(EventRecord const& e) {
    events_.push_back(e);
    if (events_.size() > events_kept) events_.pop_front();
    write(event_file_, event_json(e));
}

void History::keep(FailoverRecord const& f) {
    failovers_.push_back(f);
    if (failovers_.size() > failovers_kept) failovers_.pop_front();
    write(failover_file_, failover_json(f));
}

void History::write(std::shared_ptr<Journal> file, std::string line) {
    store_.run([writing = writing_, file = std::move(file), line = std::move(line)] {
        auto const written = file->append(line);
        std::lock_guard const guard(writing->mutex);
        writing->error = written ? "" : written.error();
    });
}

std::string History::last_error() const {
    std::lock_guard const guard(writing_->mutex);
    return writing_->error;
}

std::vector<EventRecord> History::events(std::string const& after_id, std::size_t limit) const {
    auto from = events_.begin();
    if (!after_id.empty()) {
        auto const known = std::find_if(events_.rbegin(), events_.rend(), [&](auto const& e) { return e.id == after_id; });
        if (known != events_.rend()) from = known.base();
        auto const left = static_cast<std::size_t>(events_.end() - from);
        return {from, from + static_cast<std::ptrdiff_t>(std::min(left, limit))};
    }
    if (events_.size() > limit) from = events_.end() - static_cast<std::ptrdiff_t>(limit);
    return {from, events_.end()};
}

std::vector<FailoverRecord> History::failovers() const { return {failovers_.begin(), failovers_.end()}; }

std::vector<EventRecord> History::own_events(std::size_t limit) const {
    std::vector<EventRecord> own;
    for (auto it = events_.rbegin(); it != events_.rend() && own.size() < limit; ++it)
        if (it->node == node_) own.push_back(*it);
    std::reverse(own.begin(), own.end());
    return own;
}

}  // namespace clusterd
