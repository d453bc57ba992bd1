// The worker's answer to `clusterctl plan`: the core's forecast, with the times that were measured on this pair. Called by the API; made on a
// thread of its own, since heartbeats can't wait for it.
#include "clusterd/core/forecast.hpp"
#include "clusterd/core/names.hpp"
#include "clusterd/shell/measured.hpp"
#include "clusterd/shell/worker.hpp"

#include <pthread.h>
#include <sched.h>
#include <algorithm>
#include <set>

namespace clusterd {

namespace {

PlanAnswer answer_of(ForecastInput const& input, Command const& command, Measured const& m) {
    Spec const& spec = input.config->spec;
    bool const node_lost = command.verb == Verb::fail && find_node(spec, command.target);
    WhatIf const what{node_lost ? WhatIf::Kind::node_lost : WhatIf::Kind::command, command};
    PlanAnswer a{forecast(input, what, m.typical), {}, {}, {}, m.records, {}};
    for (auto const& g : forecast(input, what, m.least).groups) a.shortest.push_back(g.back_after);
    for (auto const& g : forecast(input, what, m.most).groups) a.longest.push_back(g.back_after);
    bool const moves = std::any_of(a.typical.groups.begin(), a.typical.groups.end(), [](auto const& g) { return g.from != g.to; });
    if (command.verb == Verb::fail && !node_lost && a.typical.refused.empty() && !moves) a.used_up = forecast(input, {WhatIf::Kind::used_up, command}, m.typical);
    std::set<std::string> unmeasured;
    for (auto const& s : a.typical.steps)
        if (s.kind == ForecastStep::Kind::start && !m.online.contains(s.resource)) unmeasured.insert("the start of " + s.resource);
    if (node_lost && !m.takeover && !a.typical.steps.empty()) a.typical.remarks.push_back("no takeover was measured yet: it is taken to last the permit, " + std::to_string(to_ms(spec.timing.permit)) + " ms");
    a.unmeasured.assign(unmeasured.begin(), unmeasured.end());
    return a;
}

// What computes for long must not do so with the rights of what must not be late.
void as_any_thread() {
    sched_param const none{};
    pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
}

}  // namespace

std::optional<PlanAnswer> Worker::plan(Command const& command) {
    std::string const key = command_json(command);
    if (planned_ && planned_->first == key) {
        PlanAnswer answer = std::move(planned_->second);
        planned_.reset();
        return answer;
    }
    if (planning_) return std::nullopt;  // its end wakes who waits
    planning_ = true;
    if (!plan_thread_) plan_thread_ = std::make_unique<IoThread>("plan", loop_);
    plan_thread_->run([this, back = plan_thread_->back(), key, command, input = std::make_shared<ForecastInput>(node_->forecast_input(loop_.now())),
                       measured = measure(history_->failovers(), node_->spec().timing.permit)] {
        as_any_thread();
        back->post([this, key, answer = answer_of(*input, command, measured)] {
            planning_ = false;
            planned_.emplace(key, answer);
            if (api_) api_->event_recorded({});
        });
    });
    return std::nullopt;
}

}  // namespace clusterd
