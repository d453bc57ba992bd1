// A change of the configuration in words: what differs, and what it does to what runs. For `apply` and `plan apply`.
#pragma once

#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/core/change.hpp"

#include <string>

namespace clusterd::tool {

std::string change_text(Spec const& was, Spec const& is, Paint const& paint);
std::string change_json(Spec const& was, Spec const& is);

// Of the resources that go offline: what else of their groups can't be without them meanwhile.
std::set<std::string> interrupted_by(ConfigChange const& change, Spec const& was);

}  // namespace clusterd::tool
