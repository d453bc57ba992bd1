// What each kind of event means, why it happens and what to do: for `clusterctl explain`, `why`, the journal and docs/events.md, which a test
// holds against this table.
#pragma once

#include "clusterd/core/event_kind.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clusterd {

struct EventKindInfo {
    EventKind kind = EventKind::note;
    std::string_view name;   // what events --json, the journal's CLUSTER_KIND and `explain` call it; never changes
    std::string_view title;  // a line
    std::string_view cause;  // when it happens
    std::string_view next;   // what to do about it
};

std::span<EventKindInfo const> event_kinds();  // all of them, in the order of the page
EventKindInfo const& info_of(EventKind kind);
std::optional<EventKindInfo> find_kind(std::string_view name);  // nullopt: of a newer clusterd
std::string message_id(EventKind kind);  // the journal's MESSAGE_ID: 32 hexadecimal digits

}  // namespace clusterd
