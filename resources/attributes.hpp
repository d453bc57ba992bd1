// Reads a resource's or agent's attributes as what they are. config/ has checked them; what is missing is the fallback.
#pragma once

#include "config/values.hpp"

#include <climits>
#include <map>
#include <string>

namespace clusterd {

class Attributes {
public:
    explicit Attributes(std::map<std::string, std::string> const& all) : all_(all) {}

    std::string text(std::string const& name, std::string fallback = {}) const {
        auto const it = all_.find(name);
        return it == all_.end() || it->second.empty() ? std::move(fallback) : it->second;
    }
    bool yes(std::string const& name, bool fallback = false) const {
        std::string const v = text(name);
        return v.empty() ? fallback : v == "yes";
    }
    int number(std::string const& name, int fallback) const {
        auto const n = parse_integer(text(name));
        return n && *n >= INT_MIN && *n <= INT_MAX ? static_cast<int>(*n) : fallback;
    }
    Duration duration(std::string const& name, Duration fallback) const {
        auto const d = parse_duration(text(name));
        return d ? *d : fallback;
    }

private:
    std::map<std::string, std::string> const& all_;
};

}  // namespace clusterd
