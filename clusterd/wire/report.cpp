// See report.hpp. Layout: "CREP" u8 version, then the fields in the order of core/report.hpp; lists with a u32 count.
#include "clusterd/wire/report.hpp"

#include "clusterd/wire/bytes.hpp"

namespace clusterd {
namespace {

constexpr std::string_view magic = "CREP";
constexpr std::uint8_t version = 1;

void write_resource(wire::Writer& w, ResourceReport const& r) {
    auto const& [state, stopped, health, since_wall_ms, restarts, retry_wall_ms, message] = r;  // a new field doesn't compile
    w.enumeration(state);
    w.boolean(stopped);
    w.enumeration(health);
    w.i64(since_wall_ms);
    w.i32(restarts);
    w.i64(retry_wall_ms);
    w.string(wire::clip(message, wire::max_message));
}

ResourceReport read_resource(wire::Reader& r) {
    ResourceReport report;
    report.state = r.enumeration(ResourceState::unknown);
    report.stopped = r.boolean();
    report.health = r.enumeration(Health::unknown);
    report.since_wall_ms = r.i64();
    report.restarts_in_window = r.i32();
    report.retry_wall_ms = r.i64();
    report.message = r.string(wire::max_message);
    return report;
}

}  // namespace

std::string encode_report(Report const& report) {
    wire::Writer w;
    w.raw(magic);
    w.u8(version);
    auto const& [node, incarnation, sequence, under, leaving, giving_up, resources, failed_groups] = report;
    w.enumeration(node);
    w.u64(incarnation);
    w.u64(sequence);
    w.decision_id(under);
    w.boolean(leaving);
    w.boolean(giving_up);
    w.count(resources.size());
    for (auto const& [name, resource] : resources) w.string(name), write_resource(w, resource);
    w.count(failed_groups.size());
    for (auto const& [group, resource] : failed_groups) w.string(group), w.string(resource);
    return w.take();
}

Result<Report> decode_report(std::string_view bytes) {
    wire::Reader r(bytes);
    if (r.raw(magic.size()) != magic) return Error{"a report can't be read: it doesn't begin as one"};
    if (std::uint8_t const v = r.u8(); r.ok() && v != version)
        return Error{"a report can't be read: it is of version " + std::to_string(v) + ", this program knows version " +
                     std::to_string(version) + "; install the same clusterd on both nodes"};
    Report report;
    report.node = r.node();
    report.incarnation = r.u64();
    report.sequence = r.u64();
    report.under = r.decision_id();
    report.leaving = r.boolean();
    report.giving_up = r.boolean();
    for (std::size_t n = r.count(wire::max_resources, 31); n > 0 && r.ok(); --n) {
        std::string name = r.string(wire::max_name);
        report.resources[std::move(name)] = read_resource(r);
    }
    for (std::size_t n = r.count(wire::max_groups, 8); n > 0 && r.ok(); --n) {
        std::string group = r.string(wire::max_name);
        report.failed_groups[std::move(group)] = r.string(wire::max_name);
    }
    if (auto const end = r.finish("a report"); !end) return Error{end.error()};
    return report;
}

}  // namespace clusterd
