// Reading JSON of outside field by field, with errors that name the field. Included by wire/status.cpp and wire/api.cpp only:
// nobody else sees Boost.JSON.
#pragma once

#include "clusterd/core/result.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace clusterd::json_fields {

namespace json = boost::json;

struct Bad : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t largest = 8U << 20U;  // no document of ours comes near it

// One object. `where` is its path in the document, for messages.
class Fields {
public:
    Fields(json::value const& value, std::string where) : where_(std::move(where)) {
        if (!value.is_object()) throw Bad(where_ + ": an object is expected");
        object_ = &value.get_object();
    }

    bool has(std::string_view name) const {
        auto const* v = object_->if_contains(name);
        return v != nullptr && !v->is_null();
    }
    json::value const& at(std::string_view name) const {
        auto const* v = object_->if_contains(name);
        if (v == nullptr) throw Bad(path(name) + ": is missing");
        return *v;
    }
    std::string text(std::string_view name) const {
        auto const& v = at(name);
        if (!v.is_string()) throw Bad(path(name) + ": a string is expected");
        return std::string(v.get_string());
    }
    std::string text_or_null(std::string_view name) const { return has(name) ? text(name) : std::string(); }
    std::int64_t integer(std::string_view name) const {
        auto const& v = at(name);
        if (v.is_int64()) return v.get_int64();
        if (v.is_uint64() && v.get_uint64() <= INT64_MAX) return static_cast<std::int64_t>(v.get_uint64());
        throw Bad(path(name) + ": an integer is expected");
    }
    std::uint64_t count(std::string_view name) const {
        auto const& v = at(name);
        if (v.is_uint64()) return v.get_uint64();
        if (v.is_int64() && v.get_int64() >= 0) return static_cast<std::uint64_t>(v.get_int64());
        throw Bad(path(name) + ": a number that isn't negative is expected");
    }
    int small(std::string_view name) const {
        std::int64_t const n = integer(name);
        if (n < INT32_MIN || n > INT32_MAX) throw Bad(path(name) + ": is out of range");
        return static_cast<int>(n);
    }
    bool flag(std::string_view name) const {
        auto const& v = at(name);
        if (!v.is_bool()) throw Bad(path(name) + ": true or false is expected");
        return v.get_bool();
    }
    Fields object(std::string_view name) const { return {at(name), path(name)}; }
    json::array const& array(std::string_view name) const {
        auto const& v = at(name);
        if (!v.is_array()) throw Bad(path(name) + ": an array is expected");
        return v.get_array();
    }
    // Calls each(Fields) for the objects of an array.
    template <class Each>
    void each(std::string_view name, Each const& call) const {
        std::size_t n = 0;
        for (auto const& v : array(name)) call(Fields(v, path(name) + "[" + std::to_string(n++) + "]"));
    }
    // One of a fixed set of spellings; `find` answers nullopt for an unknown one.
    template <class Find>
    auto choice(std::string_view name, Find const& find) const {
        std::string const spelt = text(name);
        auto const found = find(spelt);
        if (!found) throw Bad(path(name) + ": '" + spelt + "' is not a known value");
        return *found;
    }
    std::string path(std::string_view name) const { return where_.empty() ? std::string(name) : where_ + "." + std::string(name); }
    json::object const& raw() const { return *object_; }

private:
    json::object const* object_ = nullptr;
    std::string where_;
};

// `make` turns the document into a value and may throw Bad; whatever is wrong comes back as an Error.
template <class T, class Make>
Result<T> read(std::string_view text, std::string_view what, Make const& make) {
    if (text.size() > largest) return Error{std::string(what) + ": is larger than 8 MiB"};
    boost::system::error_code failed;
    json::value const document = json::parse({text.data(), text.size()}, failed);
    if (failed) return Error{std::string(what) + ": is not JSON (" + failed.message() + ")"};
    try {
        return make(Fields(document, ""));
    } catch (Bad const& bad) {
        return Error{std::string(what) + ": " + bad.what()};
    }
}

// What others say (a driver's message, a file's name) may hold any bytes; a document with one bad byte would be unreadable as a
// whole, so each is replaced by U+FFFD.
inline std::string with_valid_utf8(std::string text) {
    std::string out;
    std::size_t clean = 0;  // everything before is copied or good
    for (std::size_t i = 0; i < text.size();) {
        auto const byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
        unsigned const first = byte(i);
        std::size_t const length = first < 0x80                    ? 1
                                   : first >= 0xc2 && first < 0xe0 ? 2
                                   : first >= 0xe0 && first < 0xf0 ? 3
                                   : first >= 0xf0 && first < 0xf5 ? 4
                                                                   : 0;
        bool good = length != 0;
        for (std::size_t k = 1; good && k < length; ++k) good = (byte(i + k) & 0xc0U) == 0x80;
        if (good && first == 0xe0) good = byte(i + 1) >= 0xa0;
        if (good && first == 0xed) good = byte(i + 1) < 0xa0;  // surrogates
        if (good && first == 0xf0) good = byte(i + 1) >= 0x90;
        if (good && first == 0xf4) good = byte(i + 1) < 0x90;
        if (good) {
            i += length;
            continue;
        }
        out.append(text, clean, i - clean).append("\xef\xbf\xbd");
        clean = ++i;
    }
    if (clean == 0) return text;
    return out.append(text, clean, std::string::npos);
}

inline std::string write(json::value const& document) {
    return with_valid_utf8(json::serialize(document));
}

inline json::value text_or_null(std::string const& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace clusterd::json_fields
