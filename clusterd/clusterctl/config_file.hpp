// A configuration in a file, as the verbs that take one read it: with everything that `clusterctl check` says about it.
#pragma once

#include "clusterd/core/spec.hpp"

#include <string>

namespace clusterd::tool {

struct CheckedFile {
    std::string xml;
    Spec spec;
    std::size_t warnings = 0;
};
// Prints each problem on stderr. Throws Stop where the file can't be read or isn't valid.
CheckedFile checked_file(std::string const& path);

}  // namespace clusterd::tool
