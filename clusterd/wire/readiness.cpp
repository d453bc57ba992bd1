#include "clusterd/wire/readiness.hpp"

#include "clusterd/wire/json_fields.hpp"

#include <set>

namespace clusterd {
namespace {

using namespace json_fields;

constexpr std::size_t most = 1000;  // of the resources and of the lacks that one document may hold

json::object object(Readiness const& r) {
    json::array lacks, looked_at;
    for (auto const& i : r.lacks) lacks.push_back(json::object{{"resource", text_or_null(i.resource)}, {"what", i.lack.what}, {"todo", text_or_null(i.lack.todo)}});
    for (auto const& name : r.looked_at) looked_at.push_back(json::value(name));
    return {{"node", r.node}, {"version", r.version}, {"round", r.round}, {"wall_ms", r.wall_ms}, {"looked_at", std::move(looked_at)}, {"lacks", std::move(lacks)}};
}

Readiness read_one(Fields const& in) {
    Readiness r;
    r.node = in.text("node");
    r.version = in.text("version");
    r.round = in.count("round");
    r.wall_ms = in.integer("wall_ms");
    for (auto const& v : in.array("looked_at")) {
        if (!v.is_string() || r.looked_at.size() >= most) throw Bad(in.path("looked_at") + ": at most 1000 names are expected");
        r.looked_at.emplace_back(v.get_string());
    }
    in.each("lacks", [&](Fields const& l) {
        if (r.lacks.size() >= most) throw Bad(in.path("lacks") + ": at most 1000 are expected");
        r.lacks.push_back({l.text_or_null("resource"), {l.text("what"), l.text_or_null("todo")}});
    });
    return r;
}

}  // namespace

std::string readiness_json(Readiness const& r) { return write(object(r)); }

Result<Readiness> parse_readiness(std::string_view text) { return read<Readiness>(text, "the readiness", read_one); }

std::string readinesses_json(Readinesses const& both) {
    auto const one = [](std::optional<Readiness> const& r) { return r ? json::value(object(*r)) : json::value(nullptr); };
    return write(json::object{{"own", one(both.own)}, {"peer", one(both.peer)}});
}

Result<Readinesses> parse_readinesses(std::string_view text) {
    return read<Readinesses>(text, "the readiness", [](Fields const& in) {
        Readinesses both;
        if (in.has("own")) both.own = read_one(in.object("own"));
        if (in.has("peer")) both.peer = read_one(in.object("peer"));
        return both;
    });
}

}  // namespace clusterd
