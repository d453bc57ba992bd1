// Keeps count of who else was seen to have one of the cluster's addresses: when that is worth a word, and when it is over.
//
// Called by keeper.hpp, which says what was seen. Pure. One sighting is a suspicion only (a late packet, a machine that is just being
// corrected): a second one, a moment later, makes it a conflict, told once; it is over when nobody was seen for so long that several
// questions went unanswered.
#pragma once

#include "clusterd/address/netlink.hpp"
#include "clusterd/core/time.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace clusterd::net {

class Conflicts {
public:
    static constexpr Duration confirmed_after = std::chrono::milliseconds(500);
    static constexpr Duration over_after = std::chrono::seconds(35);  // three questions, and a bit

    struct Conflict {
        std::string resource;
        Mac mac{};
        bool operator==(Conflict const&) const = default;
    };
    enum class Word : std::uint8_t { suspected, begun, known };
    Word seen(std::string const& resource, Mac const& mac, Instant now);
    std::vector<Conflict> over(Instant now);         // what had begun and is no longer seen
    void forget(std::string const& resource);        // it isn't looked for any more
    std::vector<Conflict> open() const;

private:
    struct Sighting {
        Instant first, last;
        bool told = false;
    };
    std::map<std::pair<std::string, Mac>, Sighting> sightings_;
};

}  // namespace clusterd::net
