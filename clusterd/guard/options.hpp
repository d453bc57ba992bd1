// The command line, and what must be true before anything starts: the key file.
#pragma once

#include "clusterd/guard/util.hpp"

namespace clusterd::guard {

struct Options {
    Name node;
    Path config{"/etc/clusterd/cluster.xml"};
    Path state_dir{"/var/lib/clusterd"};
    Path run_dir{"/run/clusterd"};
    Path key{"/etc/clusterd/key"};
};

enum class Parsed { run, shown, usage };  // shown: --help or --version was answered; usage: a message is on stderr

Parsed parse_options(int argc, char** argv, Options& options);
bool key_file_is_safe(char const* path);  // a message is logged where it isn't
bool safe_name(char const* name);         // fit for a file name: letters, digits, . _ - and not only dots

}  // namespace clusterd::guard
