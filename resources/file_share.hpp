// The driver file-share: a directory that a file server which runs anyway (Samba, nfs-ganesha, the kernel's NFS server) offers on the
// owner only. Called through resources/registry.cpp; each server is a ShareServer of its own (share_server.hpp).
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_file_share_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
