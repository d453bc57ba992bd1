// Reads one element's attributes against the table of types.hpp. Inside config/ only.
#pragma once

#include "config/problems.hpp"
#include "config/types.hpp"

#include <tinyxml2.h>
#include <map>

namespace clusterd {

// `<ip-address name="web-ip">`: how messages name an element.
std::string describe(tinyxml2::XMLElement const& element);

// What an element gives: only values that are valid, and the table's defaults where it gives none (or a bad one, already told).
class ElementAttributes {
public:
    using Tables = std::vector<std::vector<Attribute> const*>;
    ElementAttributes(tinyxml2::XMLElement const& element, Tables tables, ProblemList& problems);

    bool given(std::string_view name) const { return given_.find(name) != given_.end(); }
    bool written(std::string_view name) const;  // also where what is given isn't valid
    std::string text(std::string_view name) const;  // empty where neither given nor defaulted
    int line(std::string_view name) const;          // the element's where it isn't given
    // Where neither given nor defaulted: `otherwise`.
    Duration duration(std::string_view name, Duration otherwise = {}) const;
    std::int64_t integer(std::string_view name, std::int64_t otherwise = 0) const;
    bool yes(std::string_view name) const { return text(name) == "yes"; }
    // Every attribute of `rows` that is given or has a default.
    std::map<std::string, std::string> of(std::vector<Attribute> const& rows) const;
    std::string const& what() const { return what_; }  // describe(element)

private:
    struct Value {
        std::string text;
        int line = 0;
    };
    Attribute const* row(std::string_view name) const;
    void read(tinyxml2::XMLElement const& element, tinyxml2::XMLAttribute const& attribute, ProblemList& problems);
    void unknown(tinyxml2::XMLElement const& element, std::string const& name, int line, ProblemList& problems);
    Tables tables_;
    std::map<std::string, Value, std::less<>> given_;
    std::vector<std::string> bad_;  // given, but not valid
    std::string what_;
    int line_ = 0;
};

// Why `value` isn't what the row wants ("isn't yes or no"), or nothing.
std::optional<std::string> why_not(Attribute const& row, std::string const& value);

// Why `value` must not stand in a file that everyone may read, or nothing. The answer never repeats it.
std::optional<std::string> secret_in(Attribute const& row, std::string const& value);

}  // namespace clusterd
