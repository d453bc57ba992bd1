// A loop device over a file, with a filesystem in it if wanted; gone with its last user, also where the test is killed.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cstdlib>
#include <string>

namespace clusterd {

class LoopDevice {
public:
    LoopDevice(std::string const& image, std::string const& type) {
        int const file = open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        bool ok = file >= 0 && ftruncate(file, type == "xfs" ? 320 << 20 : 32 << 20) == 0;
        if (ok && !type.empty()) ok = std::system(("mkfs." + type + " -q " + image + " >/dev/null 2>&1").c_str()) == 0;
        attach(file, ok);
    }
    explicit LoopDevice(std::string const& file_as_it_is) {
        int const file = open(file_as_it_is.c_str(), O_RDWR | O_CLOEXEC);
        attach(file, file >= 0);
    }
    ~LoopDevice() {
        if (fd_ >= 0) close(fd_);
    }
    LoopDevice(LoopDevice const&) = delete;
    LoopDevice& operator=(LoopDevice const&) = delete;

    std::string path;  // empty: this machine can't
    unsigned major_number = 7, minor_number = 0;

private:
    void attach(int file, bool ok) {
        int const control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        for (int tries = 0; ok && control >= 0 && tries < 100 && path.empty(); ++tries) {
            int const n = ioctl(control, LOOP_CTL_GET_FREE);
            std::string const name = "/dev/loop" + std::to_string(n);
            if (n < 0) break;
            if (access(name.c_str(), F_OK) != 0) mknod(name.c_str(), S_IFBLK | 0660, makedev(7, static_cast<unsigned>(n)));
            int const device = open(name.c_str(), O_RDWR | O_CLOEXEC);
            loop_config config{};
            config.fd = static_cast<unsigned>(file);
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
            if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) == 0) {
                path = name;
                minor_number = static_cast<unsigned>(n);
                fd_ = device;
            } else if (device >= 0) {
                close(device);  // another test took it
            }
        }
        if (control >= 0) close(control);
        if (file >= 0) close(file);
    }
    int fd_ = -1;
};

// Mounts made from now on are this process's and its children's, and gone with them.
inline bool private_mounts() {
    return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace clusterd
