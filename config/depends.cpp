// See depends.hpp.
#include "config/depends.hpp"

#include "config/values.hpp"

#include <algorithm>

namespace clusterd {

namespace {

constexpr int deepest = 32;

std::vector<std::string> tokens_of(std::string_view text) {
    std::vector<std::string> tokens;
    for (std::string const& word : split_blanks(text)) {
        std::string token;
        for (char c : word) {
            if (c != '(' && c != ')') {
                token += c;
                continue;
            }
            if (!token.empty()) tokens.push_back(std::move(token));
            token.clear();
            tokens.emplace_back(1, c);
        }
        if (!token.empty()) tokens.push_back(std::move(token));
    }
    return tokens;
}

// any := all (`or` all)* ; all := one ((`and`)? one)* ; one := name | ( any )
class Parser {
public:
    explicit Parser(std::string_view text) : tokens_(tokens_of(text)) {}

    Result<Dependency> run() {
        if (tokens_.empty()) return Error{"is empty; leave it out where nothing is needed"};
        Dependency result = any(0);
        if (error_.empty() && at_ < tokens_.size()) error_ = "has ) without (";
        if (!error_.empty()) return Error{error_};
        return result;
    }

private:
    bool next_is(std::string_view token) const { return at_ < tokens_.size() && tokens_[at_] == token; }

    static Dependency joined(Dependency::Kind kind, std::vector<Dependency> parts) {
        if (parts.size() == 1) return std::move(parts.front());
        return Dependency{kind, {}, std::move(parts)};
    }

    Dependency any(int depth) {
        std::vector<Dependency> parts;
        parts.push_back(all(depth));
        while (error_.empty() && next_is("or")) {
            ++at_;
            parts.push_back(all(depth));
        }
        return joined(Dependency::Kind::any, std::move(parts));
    }

    Dependency all(int depth) {
        std::vector<Dependency> parts;
        parts.push_back(one(depth));
        while (error_.empty() && at_ < tokens_.size() && !next_is("or") && !next_is(")")) {
            if (next_is("and")) ++at_;
            parts.push_back(one(depth));
        }
        return joined(Dependency::Kind::all, std::move(parts));
    }

    Dependency one(int depth) {
        if (at_ == tokens_.size()) return fail("ends where a name was expected");
        std::string const token = tokens_[at_++];
        if (token == "(") {
            if (depth == deepest) return fail("has parentheses nested more than 32 deep");
            Dependency inner = any(depth + 1);
            if (!error_.empty()) return {};
            if (!next_is(")")) return fail("has ( without )");
            ++at_;
            return inner;
        }
        if (token == ")") return fail("has ) where a name was expected");
        if (token == "and" || token == "or" || token == "not") return fail("has '" + token + "' where a name was expected");
        if (check_name(token))
            return fail("has '" + token.substr(0, 40) + "', which isn't a name; commas and other signs aren't used");
        return Dependency{Dependency::Kind::name, token, {}};
    }

    Dependency fail(std::string why) {
        if (error_.empty()) error_ = std::move(why);
        return {};
    }

    std::vector<std::string> tokens_;
    std::size_t at_ = 0;
    std::string error_;
};

void collect(Dependency const& dependency, std::vector<std::string>& names) {
    if (dependency.kind == Dependency::Kind::name) names.push_back(dependency.name);
    for (Dependency const& child : dependency.children) collect(child, names);
}

}  // namespace

Result<Dependency> parse_depends(std::string_view text) {
    return Parser(text).run();
}

std::vector<std::string> names_in(Dependency const& dependency) {
    std::vector<std::string> names;
    collect(dependency, names);
    return names;
}

std::vector<std::string> find_cycle(std::map<std::string, std::vector<std::string>> const& graph) {
    struct Visit {
        std::string name;
        std::size_t next = 0;
    };
    enum class Mark { open, done };
    std::map<std::string, Mark> marks;
    for (auto const& [start, ignored] : graph) {
        if (marks.count(start) != 0) continue;
        std::vector<Visit> path{{start}};
        marks[start] = Mark::open;
        while (!path.empty()) {
            Visit& visit = path.back();
            auto const edges = graph.find(visit.name);
            if (edges == graph.end() || visit.next == edges->second.size()) {
                marks[visit.name] = Mark::done;
                path.pop_back();
                continue;
            }
            std::string const& to = edges->second[visit.next++];
            auto const mark = marks.find(to);
            if (mark == marks.end()) {
                marks[to] = Mark::open;
                path.push_back({to});
            } else if (mark->second == Mark::open) {
                auto const from = std::find_if(path.begin(), path.end(), [&](Visit const& v) { return v.name == to; });
                std::vector<std::string> cycle;
                for (auto it = from; it != path.end(); ++it) cycle.push_back(it->name);
                cycle.push_back(to);
                return cycle;
            }
        }
    }
    return {};
}

}  // namespace clusterd
