// See builder.hpp: what is to be said of <file-share>, beyond what each attribute may be.
#include "clusterd/core/names.hpp"
#include "config/builder.hpp"
#include "config/shares.hpp"

#include <algorithm>

namespace clusterd {

void SpecBuilder::check_share(ElementAttributes const& given, ResourceSpec const& made) {
    if (!given.given("protocol") || !given.given("path")) return;  // told already
    for (Attribute const& row : find_type("file-share")->attributes) {
        std::string const name(row.name);
        if (!given.given(name)) continue;
        std::string const place = given.what() + ": attribute '" + name + "': ";
        if (auto const foreign = why_not_of_share(made.attributes, name))
            problems_.error(given.line(name), place + *foreign);
        else if (auto const why = why_no_share(made.attributes, name))
            problems_.error(given.line(name), place + *why);
    }
    // Shares of one server differ in what clients call them. Both nodes may have all of them at once.
    auto const only_one = [&](std::string const& key, std::string const& what, std::string const& attribute) {
        auto const [other, fresh] = shares_.insert({key, Named{given.what(), given.line(attribute)}});
        if (!fresh) problems_.error(given.line(attribute), given.what() + ": " + what + " is also that of " + other->second.what + " at " + at(other->second.line));
    };
    std::string const name = share_name(made.attributes, made.name);
    if (given.text("protocol") == "smb") {
        only_one("smb " + smb_folded(name), "the share's name " + quoted(name), "share");
        return;
    }
    only_one("nfs " + name, (given.text("server") == "kernel" ? "the path " : "the export's name ") + quoted(name), "share");
    std::string const id = std::to_string(export_id(made.attributes, made.name));
    only_one("nfs export " + id, "export-id " + id + (given.given("export-id") ? "" : " (made of its name)"), "export-id");
}

void SpecBuilder::check_share_depends() {
    for (GroupSpec const& group : spec_.groups) {
        auto const is = [&group](std::string const& name, std::initializer_list<std::string_view> types) {
            return std::any_of(group.resources.begin(), group.resources.end(), [&](ResourceSpec const& r) {
                return r.name == name && std::find(types.begin(), types.end(), r.type) != types.end();
            });
        };
        bool const has_address = std::any_of(group.resources.begin(), group.resources.end(), [](ResourceSpec const& r) { return r.type == "ip-address" || r.type == "ocf"; });
        for (ResourceSpec const& share : group.resources) {
            if (share.type != "file-share" || !share.attributes.contains("path")) continue;
            std::string const what = "<file-share name=" + quoted(share.name) + ">: ", path = share.attributes.at("path");
            bool lies_on_one = false, other_storage = false;
            for (std::string const& name : with_dependencies(group, share.name)) {
                other_storage = other_storage || is(name, {"ocf", "script"});
                auto const fs = std::find_if(group.resources.begin(), group.resources.end(), [&](ResourceSpec const& r) { return r.name == name && r.type == "filesystem"; });
                lies_on_one = lies_on_one || (fs != group.resources.end() && fs->attributes.contains("mount") && lies_in(path, fs->attributes.at("mount")));
            }
            if (!lies_on_one && !other_storage)
                problems_.warning(share.line, what + "it depends on no filesystem that " + path + " lies on; on a node that goes dark a share ends with its filesystem and its address");
            if (!has_address)
                problems_.warning(share.line, what + "its group has no ip-address; clients of a node's own address lose the share when it moves, and nothing silences it");
        }
    }
}

}  // namespace clusterd
