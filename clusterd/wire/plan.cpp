#include "clusterd/wire/plan.hpp"

#include "clusterd/wire/json_fields.hpp"

#include <array>

namespace clusterd {
namespace {

using namespace json_fields;

constexpr std::array kinds{"start", "stop", "kill", "owner"};

std::int64_t us(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }

json::array strings(std::vector<std::string> const& list) {
    json::array out;
    for (auto const& s : list) out.push_back(json::value(s));
    return out;
}

std::vector<std::string> read_strings(Fields const& in, std::string_view name) {
    std::vector<std::string> out;
    for (auto const& v : in.array(name)) {
        if (!v.is_string()) throw Bad(in.path(name) + ": strings are expected");
        out.emplace_back(v.get_string());
    }
    return out;
}

json::object forecast_object(Forecast const& f) {
    json::array steps, groups;
    for (auto const& s : f.steps)
        steps.push_back(json::object{{"at_us", us(s.at)},
                                     {"kind", kinds[static_cast<std::size_t>(s.kind)]},
                                     {"node", s.node},
                                     {"group", s.group},
                                     {"resource", text_or_null(s.resource)},
                                     {"why", text_or_null(s.why)}});
    for (auto const& g : f.groups)
        groups.push_back(json::object{{"name", g.name},
                                      {"from", g.from},
                                      {"to", g.to},
                                      {"was_online", g.was_online},
                                      {"is_online", g.is_online},
                                      {"interrupted", g.interrupted},
                                      {"back_after_us", us(g.back_after)}});
    return {{"refused", text_or_null(f.refused)}, {"steps", std::move(steps)}, {"groups", std::move(groups)}, {"remarks", strings(f.remarks)}};
}

Duration read_us(Fields const& in, std::string_view name) {
    std::int64_t const n = in.integer(name);
    if (n < 0 || n > INT64_MAX / 1'000'000) throw Bad(in.path(name) + ": is out of range");
    return std::chrono::microseconds(n);
}

Forecast read_forecast(Fields const& in) {
    Forecast f;
    f.refused = in.text_or_null("refused");
    in.each("steps", [&](Fields const& s) {
        ForecastStep step;
        step.at = read_us(s, "at_us");
        step.kind = s.choice("kind", [](std::string_view text) -> std::optional<ForecastStep::Kind> {
            for (std::size_t i = 0; i < kinds.size(); ++i)
                if (kinds[i] == text) return static_cast<ForecastStep::Kind>(i);
            return std::nullopt;
        });
        step.node = s.text("node");
        step.group = s.text("group");
        step.resource = s.text_or_null("resource");
        step.why = s.text_or_null("why");
        f.steps.push_back(std::move(step));
    });
    in.each("groups", [&](Fields const& g) {
        f.groups.push_back({g.text("name"), g.text("from"), g.text("to"), g.flag("was_online"), g.flag("is_online"), g.flag("interrupted"), read_us(g, "back_after_us")});
    });
    f.remarks = read_strings(in, "remarks");
    return f;
}

json::array times(std::vector<Duration> const& list) {
    json::array out;
    for (auto const d : list) out.push_back(us(d));
    return out;
}

std::vector<Duration> read_times(Fields const& in, std::string_view name) {
    std::vector<Duration> out;
    for (auto const& v : in.array(name)) {
        if (!v.is_int64() || v.get_int64() < 0 || v.get_int64() > INT64_MAX / 1'000'000) throw Bad(in.path(name) + ": microseconds are expected");
        out.emplace_back(std::chrono::microseconds(v.get_int64()));
    }
    return out;
}

}  // namespace

std::string plan_json(PlanAnswer const& a) {
    json::object out = forecast_object(a.typical);
    out["shortest_us"] = times(a.shortest);
    out["longest_us"] = times(a.longest);
    out["used_up"] = a.used_up ? json::value(forecast_object(*a.used_up)) : json::value(nullptr);
    out["measured"] = a.measured;
    out["unmeasured"] = strings(a.unmeasured);
    return write(out);
}

Result<PlanAnswer> parse_plan(std::string_view text) {
    return read<PlanAnswer>(text, "the plan", [](Fields const& in) {
        PlanAnswer a;
        a.typical = read_forecast(in);
        a.shortest = read_times(in, "shortest_us");
        a.longest = read_times(in, "longest_us");
        if (a.shortest.size() != a.typical.groups.size() || a.longest.size() != a.typical.groups.size()) throw Bad("shortest_us, longest_us: one for each group is expected");
        if (in.has("used_up")) a.used_up = read_forecast(in.object("used_up"));
        a.measured = static_cast<std::size_t>(in.count("measured"));
        a.unmeasured = read_strings(in, "unmeasured");
        return a;
    });
}

}  // namespace clusterd
