#include "clusterd/clusterctl/plan_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd::tool {
namespace {

std::string count(std::size_t n, std::string_view one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

std::string how_long(PlanAnswer const& a, std::size_t i, ForecastGroup const& g) {
    std::string text = "not online for about " + for_people(to_ms(g.back_after));
    if (a.shortest[i] != a.longest[i]) text += fmt::format(" ({} to {})", for_people(to_ms(a.shortest[i])), for_people(to_ms(a.longest[i])));
    return text;
}

Table::Row group_row(PlanAnswer const& a, std::size_t i) {
    ForecastGroup const& g = a.typical.groups[i];
    std::string const where = g.from == g.to ? "on " + g.to : g.from + " -> " + g.to;
    if (!g.interrupted) return {{g.name, Tone::strong}, {where}, {g.was_online ? "goes on" : "stays as it is", g.was_online ? Tone::good : Tone::plain}};
    if (g.was_online && !g.is_online) return {{g.name, Tone::strong}, {where}, {"WOULD NOT BE ONLINE", Tone::bad}};
    if (!g.is_online) return {{g.name, Tone::strong}, {where}, {"not online, as now", Tone::warn}};
    return {{g.name, Tone::strong}, {where}, {how_long(a, i, g), Tone::warn}};
}

std::string what(ForecastStep const& s) {
    switch (s.kind) {
        case ForecastStep::Kind::start: return "starts " + s.resource;
        case ForecastStep::Kind::stop: return "stops " + s.resource;
        case ForecastStep::Kind::kill: return "kills " + s.resource;
        case ForecastStep::Kind::owner: return fmt::format("owns group {} now{}", s.group, s.why.empty() ? "" : " (" + s.why + ")");
    }
    return {};
}

std::string steps_text(Forecast const& f, Paint const& paint) {
    if (f.steps.empty()) return "Nothing is stopped or started.\n";
    Table table({10, 20, 0});
    table.add({{"AFTER", Tone::faint}, {"NODE", Tone::faint}, {"DOES", Tone::faint}});
    for (auto const& s : f.steps) table.add({{for_people(to_ms(s.at))}, {s.node}, {what(s), s.kind == ForecastStep::Kind::owner ? Tone::strong : Tone::plain}});
    Paint wide = paint;
    if (!paint.terminal) wide.width = 1000;
    return table.text(wide);
}

}  // namespace

std::string plan_text(PlanAnswer const& a, std::string const& question, Paint const& paint) {
    std::string out = paint(Tone::strong, fmt::format("If {} now:", question)) + "\n\n";
    Table groups({24, 24, 0});
    for (std::size_t i = 0; i < a.typical.groups.size(); ++i) groups.add(group_row(a, i));
    out += groups.text(paint) + "\n" + steps_text(a.typical, paint);
    auto const line = [&](std::string const& text) { out += wrapped(text, paint.width, 0) + "\n"; };
    out += "\n";
    if (!a.typical.steps.empty()) line(a.measured > 0 ? fmt::format("The times are those measured here: {}.", count(a.measured, "time line")) : "Nothing was measured here yet: times are not known.");
    if (!a.unmeasured.empty()) line(fmt::format("Not measured yet, and counted as nothing: {}.", fmt::join(a.unmeasured, ", ")));
    for (auto const& r : a.typical.remarks) line("Note: " + r + ".");
    if (a.used_up) {
        out += "\n" + paint(Tone::strong, "And once its restarts within the window are used up:") + "\n\n";
        out += a.used_up->refused.empty() ? steps_text(*a.used_up, paint) : wrapped(a.used_up->refused, paint.width, 0) + "\n";
    }
    return out;
}

}  // namespace clusterd::tool
