// The worker's answer to `clusterctl plan`: the core's forecast, with the times that were measured on this pair. Called by the API.
#include "clusterd/core/forecast.hpp"
#include "clusterd/core/names.hpp"
#include "clusterd/shell/measured.hpp"
#include "clusterd/shell/worker.hpp"

#include <algorithm>
#include <set>

namespace clusterd {

PlanAnswer Worker::plan(Command const& command) {
    Spec const& spec = node_->spec();
    Measured const m = measure(history_->failovers(), spec.timing.permit);
    bool const node_lost = command.verb == Verb::fail && find_node(spec, command.target);
    WhatIf const what{node_lost ? WhatIf::Kind::node_lost : WhatIf::Kind::command, command};
    Now const now = loop_.now();
    PlanAnswer a{node_->forecast(what, m.typical, now), {}, {}, {}, m.records, {}};
    for (auto const& g : node_->forecast(what, m.least, now).groups) a.shortest.push_back(g.back_after);
    for (auto const& g : node_->forecast(what, m.most, now).groups) a.longest.push_back(g.back_after);
    bool const moves = std::any_of(a.typical.groups.begin(), a.typical.groups.end(), [](auto const& g) { return g.from != g.to; });
    if (command.verb == Verb::fail && !node_lost && a.typical.refused.empty() && !moves) a.used_up = node_->forecast({WhatIf::Kind::used_up, command}, m.typical, now);
    std::set<std::string> unmeasured;
    for (auto const& s : a.typical.steps)
        if (s.kind == ForecastStep::Kind::start && !m.online.contains(s.resource)) unmeasured.insert("the start of " + s.resource);
    if (node_lost && !m.takeover && !a.typical.steps.empty()) a.typical.remarks.push_back("no takeover was measured yet: it is taken to last the permit, " + std::to_string(to_ms(spec.timing.permit)) + " ms");
    a.unmeasured.assign(unmeasured.begin(), unmeasured.end());
    return a;
}

}  // namespace clusterd
