// Makes a Spec of the elements of a file, and holds what only the whole file can tell (builder_rules.cpp). Inside config/ only.
//
// It goes on after every error with the table's default, so that all errors come out at once; the Spec counts only without any.
#pragma once

#include "config/reader.hpp"
#include "config/values.hpp"

#include <functional>
#include <set>

namespace clusterd {

class SpecBuilder {
public:
    SpecBuilder(std::string file_name, ProblemList& problems) : file_(std::move(file_name)), problems_(problems) {}
    Spec build(tinyxml2::XMLElement const& root);

private:
    using Element = tinyxml2::XMLElement;
    using Children = std::vector<std::pair<std::string_view, std::function<void(Element const&)>>>;

    // ---- elements, in builder.cpp ----
    void children(Element const& of, Children const& known, std::function<void(Element const&)> const& other = {});
    void unknown_child(Element const& child, Element const& of, std::vector<std::string_view> known);
    bool once(Element const& element, int& seen_at);
    void node(Element const& element);
    void link(Element const& element, NodeSpec& node);
    void quorum(Element const& element);
    void watchdog(Element const& e);
    void timing(Element const& element);
    void network(Element const& element);
    void group(Element const& element);
    void resource(Element const& element, GroupSpec& group);
    void health(Element const& element, ResourceSpec& resource);
    void restart(Element const& element, ResourceSpec& resource);
    void param(Element const& e, ResourceSpec& of);
    void unknown_resource(Element const& element, GroupSpec const& group);

    // ---- what the whole file tells, in builder_rules.cpp ----
    void claim(std::string const& name, std::string const& what, int line);
    void check_nodes(int line);
    void check_timing();
    void check_references();
    void check_group_references();
    void check_depends();
    void check_cycle(std::string const& group, std::map<std::string, std::vector<std::string>> const& graph);
    void check_possible();
    void check_addresses();
    void check_filesystem(ElementAttributes const& given);
    void check_disks();
    void check_share(ElementAttributes const& given, ResourceSpec const& made);
    void check_print_queue(ElementAttributes const& given, ResourceSpec const& made);
    void check_share_depends();
    void check_network_names();
    void check_routes();
    void check_link_addresses();
    std::optional<NodeIndex> node_of(std::string const& name) const;
    std::string at(int line) const { return file_ + ":" + std::to_string(line); }

    struct Named {
        std::string what;  // node, group, resource
        int line = 0;
    };
    // A name written somewhere, to be looked up when everything is read.
    struct Reference {
        std::string from;  // describe() of the element
        std::string attribute, name;
        int line = 0;
        std::size_t group = 0;                // index in spec_.groups
        std::optional<std::size_t> resource;  // index in its resources
    };
    struct AddressUse {
        IpAddress address;
        std::uint16_t port = 0;  // links only
        std::string from;        // "<link>: attribute 'address'"
        std::string what;        // "link of node \"alpha\"": as another message calls it
        int line = 0;
    };

    std::string file_;
    ProblemList& problems_;
    Spec spec_;
    std::vector<NodeSpec> nodes_;
    std::vector<int> node_lines_;
    std::map<std::string, Named> names_;
    std::map<std::string, Named> devices_, points_;  // of filesystems
    std::map<std::string, Named> shares_;            // "smb docs", "nfs /media", "nfs export 77"
    std::map<std::string, Named> print_queues_;
    std::set<std::string> network_names_;
    std::vector<Reference> node_references_, group_references_, depends_;
    std::map<std::string, std::string> units_;  // and who has it
    std::vector<AddressUse> link_addresses_, ip_addresses_, ping_addresses_;
    std::set<std::pair<std::string, std::string>> unknown_resources_;  // (group, name) of resources whose type is refused
    int quorum_line_ = 0, timing_line_ = 0, watchdog_line_ = 0;
    std::size_t resources_ = 0;
    bool resources_refused_ = false;
};

}  // namespace clusterd
