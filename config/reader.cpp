// See reader.hpp.
#include "config/reader.hpp"

#include "config/depends.hpp"
#include "config/nearest.hpp"
#include "config/secrets.hpp"
#include "config/values.hpp"
#include "config/words.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace clusterd {

namespace {

using Kind = AttributeKind;

template <class T>
std::optional<std::string> error_of(Result<T> const& result) {
    if (result) return std::nullopt;
    return result.error();
}

std::optional<std::string> outside(Attribute const& row) {
    return "isn't " + allowed_text(row);
}

std::optional<std::string> why_not_duration(Attribute const& row, std::string const& value) {
    auto const parsed = parse_duration(value);
    if (!parsed) return parsed.error();
    auto const low = parse_duration(row.min), high = parse_duration(row.max);
    if ((low && *parsed < *low) || (high && *parsed > *high)) return outside(row);
    return std::nullopt;
}

std::optional<std::string> why_not_integer(Attribute const& row, std::string const& value) {
    auto const parsed = parse_integer(value);
    auto const low = parse_integer(row.min), high = parse_integer(row.max);
    if (!parsed || (low && *parsed < *low) || (high && *parsed > *high)) return outside(row);
    return std::nullopt;
}

std::optional<std::string> why_not_command(std::string const& value) {
    auto const words = split_words(value);
    if (!words) return words.error();
    if (words->empty() || words->front().empty()) return "names no program";
    return std::nullopt;
}

std::optional<std::string> why_not_addresses(std::string const& value) {
    auto const words = split_blanks(value);
    if (words.empty()) return "names no address";
    for (std::string const& word : words) {
        if (auto const address = parse_address(word); !address) return "has " + quoted(word) + ", which " + address.error();
    }
    return std::nullopt;
}

std::optional<std::string> why_not_interface(std::string const& value) {
    auto const fits = [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; };
    bool const well =
        !value.empty() && value.size() <= 15 && value != "." && value != ".." && std::all_of(value.begin(), value.end(), fits);
    if (!well) return "isn't " + std::string(kind_allowed(Kind::interface));
    return std::nullopt;
}

std::optional<std::string> why_not_unit(std::string const& value) {
    constexpr std::string_view suffix = ".service";
    bool const well = value.size() > suffix.size() && value.size() <= 255 && value.ends_with(suffix) && value[0] != '.' &&
                      std::all_of(value.begin(), value.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr(":_.\\@-", c); });
    if (well && value.find("@.") == std::string::npos) return std::nullopt;
    return "isn't " + std::string(kind_allowed(Kind::unit)) + (well ? "; of a template the instance is named: NAME@INSTANCE.service" : "");
}

std::optional<std::string> why_not_ocf_agent(std::string const& value) {
    std::string_view text = value;
    if (text.starts_with("ocf:")) text.remove_prefix(4);
    std::size_t const colon = text.find(':');
    auto const word = [](std::string_view w) {
        return !w.empty() && w.size() <= 63 && w[0] != '.' && std::all_of(w.begin(), w.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("._-", c); });
    };
    if (colon != std::string_view::npos && word(text.substr(0, colon)) && word(text.substr(colon + 1))) return std::nullopt;
    return "isn't " + std::string(kind_allowed(Kind::ocf_agent));
}

std::optional<std::string> why_not_path(std::string const& value) {
    if (value.empty() || value[0] != '/') return "isn't an absolute path (it starts with /)";
    return std::nullopt;
}

// Such a value is never repeated in a message, not even where it is wrong.
bool may_hold_a_secret(Kind kind) {
    return kind == Kind::header || kind == Kind::environment || kind == Kind::url || kind == Kind::command || kind == Kind::text ||
           kind == Kind::escaped_text;
}

std::string normalised(char const* raw) {
    std::string value(raw);
    // What XML prescribes for attributes, and tinyxml2 leaves to its caller.
    std::replace_if(
        value.begin(), value.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
    return value;
}

}  // namespace

std::optional<std::string> why_not(Attribute const& row, std::string const& value) {
    if (value.empty()) return "is empty; allowed: " + allowed_text(row);
    switch (row.kind) {
        case Kind::name:
            if (auto error = check_name(value)) return error->message;
            return std::nullopt;
        case Kind::names:
            return split_blanks(value).empty() ? std::optional<std::string>("names nothing") : std::nullopt;
        case Kind::text:
            return std::nullopt;
        case Kind::escaped_text:
            return error_of(unescape(value));
        case Kind::command:
            return why_not_command(value);
        case Kind::environment:
            return error_of(parse_environment(value));
        case Kind::duration:
            return why_not_duration(row, value);
        case Kind::integer:
            return why_not_integer(row, value);
        case Kind::yes_no:
            return error_of(parse_yes_no(value));
        case Kind::choice: {
            if (std::find(row.choices.begin(), row.choices.end(), value) != row.choices.end()) return std::nullopt;
            if (std::find(row.planned.begin(), row.planned.end(), value) != row.planned.end())
                return "isn't there yet in this version; it is " + allowed_text(row);
            return "isn't " + allowed_text(row) + did_you_mean(value, row.choices);
        }
        case Kind::dns_name:
            return error_of(parse_dns_name(value));
        case Kind::uuid:
            return error_of(parse_uuid(value));
        case Kind::path:
            return why_not_path(value);
        case Kind::address:
            return error_of(parse_address(value));
        case Kind::addresses:
            return why_not_addresses(value);
        case Kind::address_prefix:
            return error_of(parse_address_prefix(value));
        case Kind::network:
            return error_of(parse_network(value));
        case Kind::gateway:
            return error_of(parse_gateway(value));
        case Kind::interface:
            return why_not_interface(value);
        case Kind::unit:
            return why_not_unit(value);
        case Kind::ocf_agent:
            return why_not_ocf_agent(value);
        case Kind::url:
            return error_of(parse_url(value));
        case Kind::status_range:
            return error_of(parse_status_range(value));
        case Kind::header:
            return error_of(parse_header(value));
        case Kind::times:
            return error_of(parse_times(value));
        case Kind::ready:
            return error_of(parse_ready(value));
        case Kind::depends:
            return error_of(parse_depends(value));
        case Kind::failback:
            return error_of(parse_failback(value));
    }
    return std::nullopt;
}

std::string describe(tinyxml2::XMLElement const& element) {
    char const* const name = element.Attribute("name");
    std::string text = "<" + std::string(element.Name());
    if (name != nullptr)
        text += " name=" + quoted(name);
    else if (char const* const type = element.Attribute("type"))
        text += " type=" + quoted(type);
    return text + ">";
}

ElementAttributes::ElementAttributes(tinyxml2::XMLElement const& element, Tables tables, ProblemList& problems)
    : tables_(std::move(tables)), what_(describe(element)), line_(element.GetLineNum()) {
    for (auto const* attribute = element.FirstAttribute(); attribute != nullptr; attribute = attribute->Next()) {
        read(element, *attribute, problems);
    }
    for (auto const* table : tables_) {
        for (Attribute const& wanted : *table) {
            std::string const name(wanted.name);
            bool const there = written(name);
            if (wanted.required && !there)
                problems.error(line_, what_ + ": attribute '" + name + "' is missing; it is " + allowed_text(wanted));
        }
    }
}

Attribute const* ElementAttributes::row(std::string_view name) const {
    for (auto const* table : tables_) {
        for (Attribute const& candidate : *table) {
            if (candidate.name == name) return &candidate;
        }
    }
    return nullptr;
}

void ElementAttributes::read(tinyxml2::XMLElement const& element, tinyxml2::XMLAttribute const& attribute, ProblemList& problems) {
    std::string const name = attribute.Name();
    std::string value = normalised(attribute.Value());
    int const line = attribute.GetLineNum();
    Attribute const* const found = row(name);
    if (found == nullptr) {
        // An editor's pointer to the schema, on the root element.
        bool const schema =
            element.Parent() == element.GetDocument() && (name.rfind("xmlns:", 0) == 0 || name.rfind("xsi:", 0) == 0);
        if (!schema) unknown(element, name, line, problems);
        return;
    }
    std::string const place = what_ + ": attribute '" + name + "'";
    if (auto const secret = secret_in(*found, value)) {
        problems.error(line, place + " " + *secret);
        bad_.push_back(name);
    } else if (auto const why = why_not(*found, value)) {
        bool const shown = !may_hold_a_secret(found->kind) && !value.empty();
        problems.error(line, place + ": " + (shown ? quoted(value) + " " : "the value ") + *why);
        bad_.push_back(name);
    } else {
        if (auto const trap = found->kind == Kind::command ? command_trap(value) : std::nullopt)
            problems.warning(line, place + " " + *trap);
        given_[name] = {std::move(value), line};
    }
}

void ElementAttributes::unknown(tinyxml2::XMLElement const& element, std::string const& name, int line, ProblemList& problems) {
    std::vector<std::string_view> known;
    std::string secret_forms, list;
    for (auto const* table : tables_) {
        for (Attribute const& candidate : *table) {
            known.push_back(candidate.name);
            list += (list.empty() ? "" : ", ") + std::string(candidate.name);
            if (candidate.secret_file) secret_forms += (secret_forms.empty() ? "" : " or ") + std::string(candidate.name) + "=";
        }
    }
    if (names_a_secret(name)) {
        std::string const own = name + "-file";
        std::string const form = row(own) != nullptr ? own + "=" : secret_forms;
        problems.error(line, what_ + ": attribute '" + name.substr(0, 64) +
                                 "' holds a secret, and secrets never stand in the configuration; " +
                                 (form.empty() ? "they have only a -file form (environment-file=, password-file=), and <" +
                                                     std::string(element.Name()) + "> takes none"
                                               : "use " + form));
        return;
    }
    std::string const near = problems.full() ? std::string() : did_you_mean(name, known);
    problems.error(line, what_ + ": unknown attribute '" + name.substr(0, 64) + "'" + near +
                             (near.empty() ? "; known are " : " known are ") + (list.empty() ? "none" : list));
}

bool ElementAttributes::written(std::string_view name) const {
    return given(name) || std::find(bad_.begin(), bad_.end(), name) != bad_.end();
}
std::string ElementAttributes::text(std::string_view name) const {
    if (auto const found = given_.find(name); found != given_.end()) return found->second.text;
    Attribute const* const known = row(name);
    return known != nullptr ? std::string(known->default_value) : std::string();
}

int ElementAttributes::line(std::string_view name) const {
    auto const found = given_.find(name);
    return found != given_.end() ? found->second.line : line_;
}

Duration ElementAttributes::duration(std::string_view name, Duration otherwise) const {
    auto const parsed = parse_duration(text(name));
    return parsed ? *parsed : otherwise;
}

std::int64_t ElementAttributes::integer(std::string_view name, std::int64_t otherwise) const {
    auto const parsed = parse_integer(text(name));
    return parsed ? *parsed : otherwise;
}

std::map<std::string, std::string> ElementAttributes::of(std::vector<Attribute> const& rows) const {
    std::map<std::string, std::string> result;
    for (Attribute const& candidate : rows) {
        std::string value = text(candidate.name);
        if (!value.empty()) result.emplace(candidate.name, std::move(value));
    }
    return result;
}

}  // namespace clusterd
