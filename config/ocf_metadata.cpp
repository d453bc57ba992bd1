// See ocf_metadata.hpp.
#include "config/ocf_metadata.hpp"

#include "config/nearest.hpp"
#include "config/values.hpp"

#include <fmt/format.h>
#include <tinyxml2.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace clusterd {
namespace {

constexpr std::size_t max_entries = 1000;
constexpr int max_depth = 16;  // tinyxml2 recurses

std::string attribute(tinyxml2::XMLElement const& e, char const* name) {
    char const* const value = e.Attribute(name);
    return value ? value : "";
}

// "20s", "20", "20000ms", "2min": a number without unit is seconds.
Duration timeout_of(std::string text) {
    if (!text.empty() && std::isdigit(static_cast<unsigned char>(text.back()))) text += "s";
    auto const d = parse_duration(text);
    return d ? *d : Duration{0};
}

bool too_deep(std::string_view xml) {
    int depth = 0;
    for (std::size_t i = 0; i + 1 < xml.size(); ++i) {
        if (xml[i] != '<') continue;
        if (xml[i + 1] == '/') --depth;
        else if (std::isalpha(static_cast<unsigned char>(xml[i + 1])) && ++depth > 4 * max_depth) return true;  // <br/> and the like count, too
        if (std::size_t const end = xml.find('>', i); end != std::string_view::npos && end > 0 && xml[end - 1] == '/') --depth;
    }
    return false;
}

bool of_type(std::string const& type, std::string const& value) {
    if (type == "integer") {
        long long n = 0;
        auto const [end, failed] = std::from_chars(value.data(), value.data() + value.size(), n);
        return failed == std::errc{} && end == value.data() + value.size();
    }
    static constexpr std::string_view booleans[] = {"yes", "no", "true", "false", "1", "0", "on", "off", "ja", "y", "n"};
    std::string lower = value;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return type != "boolean" || std::find(std::begin(booleans), std::end(booleans), lower) != std::end(booleans);
}

}  // namespace

Result<OcfMetadata> parse_ocf_metadata(std::string_view xml) {
    Error const none{"its meta-data can't be read: no <resource-agent> with <parameters>"};
    if (xml.size() > max_ocf_metadata) return Error{"its meta-data is longer than 1 MiB"};
    if (too_deep(xml)) return none;
    tinyxml2::XMLDocument document;
    if (document.Parse(xml.data(), xml.size()) != tinyxml2::XML_SUCCESS) return none;
    auto const* const root = document.FirstChildElement("resource-agent");
    if (!root) return none;
    OcfMetadata m;
    if (auto const* const all = root->FirstChildElement("parameters"))
        for (auto const* p = all->FirstChildElement("parameter"); p && m.parameters.size() < max_entries; p = p->NextSiblingElement("parameter")) {
            OcfParameter made{attribute(*p, "name"), "", attribute(*p, "required") == "1" || attribute(*p, "required") == "true"};
            if (auto const* const content = p->FirstChildElement("content")) made.type = attribute(*content, "type");
            if (!made.name.empty()) m.parameters.push_back(std::move(made));
        }
    if (auto const* const all = root->FirstChildElement("actions"))
        for (auto const* a = all->FirstChildElement("action"); a; a = a->NextSiblingElement("action")) {
            if (attribute(*a, "name") == "start") m.start_timeout = timeout_of(attribute(*a, "timeout"));
            bool const plain = attribute(*a, "depth").empty() || attribute(*a, "depth") == "0";
            if (attribute(*a, "name") == "monitor" && plain && attribute(*a, "role").empty() && m.monitor_timeout == Duration{0}) {
                m.monitor_interval = timeout_of(attribute(*a, "interval"));
                m.monitor_timeout = timeout_of(attribute(*a, "timeout"));
            }
            if (attribute(*a, "name") == "stop") m.stop_timeout = timeout_of(attribute(*a, "timeout"));
        }
    return m;
}

std::vector<std::string> check_against(OcfMetadata const& metadata, ResourceSpec const& resource) {
    std::vector<std::string> wrong;
    std::vector<std::string_view> known;
    for (auto const& p : metadata.parameters) known.push_back(p.name);
    auto const find = [&](std::string const& name) { return std::find_if(metadata.parameters.begin(), metadata.parameters.end(), [&](auto const& p) { return p.name == name; }); };
    for (auto const& [key, value] : resource.attributes) {
        bool const from_file = key.starts_with("param-file:");
        if (!from_file && !key.starts_with("param:")) continue;
        std::string const name = key.substr(from_file ? 11 : 6);
        auto const p = find(name);
        if (p == metadata.parameters.end())
            wrong.push_back(fmt::format("the agent has no parameter \"{}\"{}", name, did_you_mean(name, known)));
        else if (!from_file && !of_type(p->type, value))
            wrong.push_back(fmt::format("parameter \"{}\": \"{}\" is no {}", name, value.substr(0, 64), p->type));
    }
    for (auto const& p : metadata.parameters)
        if (p.required && !resource.attributes.contains("param:" + p.name) && !resource.attributes.contains("param-file:" + p.name))
            wrong.push_back(fmt::format("the agent's parameter \"{}\" is missing", p.name));
    if (metadata.start_timeout > resource.online_timeout)
        wrong.push_back(fmt::format("online-timeout is {}; the agent wants {} for its start", format_duration(resource.online_timeout), format_duration(metadata.start_timeout)));
    if (metadata.stop_timeout > resource.offline_timeout)
        wrong.push_back(fmt::format("offline-timeout is {}; the agent wants {} for its stop", format_duration(resource.offline_timeout), format_duration(metadata.stop_timeout)));
    return wrong;
}

}  // namespace clusterd
