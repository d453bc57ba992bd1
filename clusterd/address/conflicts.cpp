// See conflicts.hpp.
#include "clusterd/address/conflicts.hpp"

namespace clusterd::net {

Conflicts::Word Conflicts::seen(std::string const& resource, Mac const& mac, Instant now) {
    auto const [it, fresh] = sightings_.try_emplace({resource, mac}, Sighting{now, now});
    Sighting& s = it->second;
    if (now - s.last > over_after && !s.told) s.first = now;  // a suspicion that came to nothing
    s.last = now;
    if (s.told) return Word::known;
    if (fresh || now - s.first < confirmed_after) return Word::suspected;
    s.told = true;
    return Word::begun;
}

std::vector<Conflicts::Conflict> Conflicts::over(Instant now) {
    std::vector<Conflict> ended;
    for (auto it = sightings_.begin(); it != sightings_.end();) {
        if (now - it->second.last <= over_after) {
            ++it;
            continue;
        }
        if (it->second.told) ended.push_back({it->first.first, it->first.second});
        it = sightings_.erase(it);
    }
    return ended;
}

void Conflicts::forget(std::string const& resource) {
    std::erase_if(sightings_, [&](auto const& entry) { return entry.first.first == resource; });
}

std::vector<Conflicts::Conflict> Conflicts::open() const {
    std::vector<Conflict> all;
    for (auto const& [who, s] : sightings_)
        if (s.told) all.push_back({who.first, who.second});
    return all;
}

}  // namespace clusterd::net
