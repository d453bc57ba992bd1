#include "clusterd/shell/revisions.hpp"

#include "clusterd/wire/config_hash.hpp"

namespace clusterd {

namespace {
constexpr std::size_t kept = 100;
constexpr std::uint64_t file_bytes = 16U << 20;
}  // namespace

Revisions::Revisions(std::string const& state_dir, StateStore& store) : store_(store), file_(std::make_shared<Journal>(state_dir + "/configurations.jsonl", file_bytes)) {
    for (auto const& line : file_->tail(kept))
        if (auto parsed = parse_revision(line)) all_.push_back(std::move(*parsed));
}

void Revisions::counts(ConfigOrigin const& origin, Config const& config) {
    std::string hash = to_hex(config.hash);
    if (!all_.empty() && all_.back().revision == origin.revision && all_.back().hash == hash) return;
    all_.push_back({origin.revision, origin.wall_ms, origin.user, origin.reason, std::move(hash), config.xml});
    if (all_.size() > kept) all_.pop_front();
    // History for people, as events are: nothing is decided by it, and status tells of a state directory that can't be written.
    store_.run([file = file_, line = revision_json(all_.back(), true)] { (void)file->append(line); });
}

}  // namespace clusterd
