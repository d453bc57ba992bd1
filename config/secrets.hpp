// What looks like a secret, and what looks like a mistake in a command. Inside config/ only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

// An attribute, header or variable of this name would hold one: password, db-token, API_KEY; not password-file.
bool names_a_secret(std::string_view name);

// What a valid command most likely doesn't mean: | or > as words, --password=... ; nothing where it looks well.
std::optional<std::string> command_trap(std::string const& value);

}  // namespace clusterd
