// The log of commands: opened at submit, fed by the core's updates, read by whoever waits.
#include "clusterd/api/commands.hpp"

#include <algorithm>

namespace clusterd::api {
namespace {

constexpr std::size_t longest_message = 4096;

}  // namespace

void CommandLog::forget_old(Instant now) {
    std::erase_if(entries_, [&](auto const& e) { return e.second.finished != forever && e.second.finished + keep_ <= now; });
    while (entries_.size() >= most_) {
        auto const oldest = std::min_element(entries_.begin(), entries_.end(),
                                             [](auto const& a, auto const& b) { return a.second.finished < b.second.finished; });
        if (oldest->second.finished == forever) return;
        entries_.erase(oldest);
    }
}

bool CommandLog::open(std::string const& id, Instant now) {
    forget_old(now);
    if (entries_.size() >= most_) return false;
    Entry entry;
    entry.progress.id = id;
    entry.opened = now;
    entries_.emplace(id, std::move(entry));
    return true;
}

void CommandLog::update(effect::CommandUpdate const& update, Instant now) {
    auto const found = entries_.find(update.id);
    if (found == entries_.end() || found->second.finished != forever) return;
    Entry& e = found->second;
    auto& list = e.progress.updates;
    e.progress.outcome = update.outcome;
    list.push_back({++e.last_n, update.outcome, update.message.substr(0, longest_message)});
    if (list.size() > most_updates_) list.erase(list.begin());
    if (update.outcome != Outcome::running) e.finished = now;
}

std::optional<CommandProgress> CommandLog::progress(std::string const& id, std::uint64_t after_n, Instant now) {
    forget_old(now);
    auto const found = entries_.find(id);
    if (found == entries_.end()) return std::nullopt;
    CommandProgress answer{id, found->second.progress.outcome, {}};
    for (auto const& u : found->second.progress.updates) {
        if (u.n > after_n) answer.updates.push_back(u);
    }
    return answer;
}

bool CommandLog::finished(std::string const& id) const {
    auto const found = entries_.find(id);
    return found != entries_.end() && found->second.finished != forever;
}

}  // namespace clusterd::api
