// See key.hpp.
#include "clusterd/wire/key.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace clusterd {
namespace {

struct File {
    int fd = -1;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
};

std::string reason() {
    return std::strerror(errno);
}

// Up to `max` bytes; more than that in the file shows as max + 1.
Result<std::string> read_all(int fd, std::size_t max, std::string const& path) {
    std::string text(max + 1, '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        ssize_t const n = ::read(fd, text.data() + have, text.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error{"the key file " + path + " can't be read: " + reason()};
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    text.resize(have);
    return text;
}

Result<Done> write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        ssize_t const n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return Error{reason()};
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(fd) != 0) return Error{reason()};
    return Done{};
}

// So that the new file's name survives a power cut. A directory that can't be synced isn't worth failing for.
void sync_directory_of(std::string const& path) {
    auto const slash = path.rfind('/');
    std::string const directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    File const d{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (d.fd >= 0) (void)::fsync(d.fd);
}

Result<Done> check_access(struct stat const& s, std::string const& path) {
    if (!S_ISREG(s.st_mode)) return Error{"the key file " + path + " is not a regular file"};
    if ((s.st_mode & 077) != 0) {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(s.st_mode & 07777));
        return Error{"the key file " + path + " has mode " + mode + ": others than its owner can use it; run: chmod 0600 " + path};
    }
    if (s.st_uid != 0 && s.st_uid != ::geteuid())
        return Error{"the key file " + path + " belongs to user " + std::to_string(s.st_uid) +
                     ", who could change it; it must belong to root or to the user clusterd runs as; run: chown root " + path};
    return Done{};
}

}  // namespace

Key subkey(Key const& cluster_key, Purpose purpose) {
    static_assert(sizeof(Key::bytes) == crypto_kdf_KEYBYTES);
    // Every user of the key comes through here first; without it libsodium works, but with its slowest code. Idempotent.
    if (sodium_init() < 0) std::abort();  // no entropy or no memory: nothing may go on
    Key key;
    crypto_kdf_derive_from_key(key.bytes.data(), key.bytes.size(), static_cast<std::uint64_t>(purpose), "clusterd",
                               cluster_key.bytes.data());
    return key;
}

Result<Key> load_key(std::string const& path) {
    // O_NONBLOCK: opening a fifo put in its place must not wait for ever.
    File const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.fd < 0) {
        if (errno == ENOENT)
            return Error{"the key file " + path + " is missing; make one with: clusterctl key new " + path +
                         " and copy it to the same place on the other node"};
        return Error{"the key file " + path + " can't be opened: " + reason()};
    }
    struct stat s {};
    if (::fstat(file.fd, &s) != 0) return Error{"the key file " + path + " can't be examined: " + reason()};
    if (auto const allowed = check_access(s, path); !allowed) return Error{allowed.error()};
    constexpr std::size_t longest = 128;  // with blank space; whatever comes behind isn't left unread
    auto text = read_all(file.fd, longest + 1, path);
    if (!text) return Error{text.error()};
    bool const too_long = text->size() > longest;
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' ')) text->pop_back();
    Key key;
    std::size_t size = 0;
    bool const good =
        !too_long && text->size() == 2 * key.bytes.size() &&
        sodium_hex2bin(key.bytes.data(), key.bytes.size(), text->data(), text->size(), nullptr, &size, nullptr) == 0 &&
        size == key.bytes.size();
    sodium_memzero(text->data(), text->size());
    if (!good)
        return Error{"the key file " + path +
                     " doesn't hold a key: 64 hex characters are expected; copy it again from the other node, or make "
                     "a new one for both with: clusterctl key new"};
    return key;
}

Key random_key() {
    Key key;
    randombytes_buf(key.bytes.data(), key.bytes.size());
    return key;
}

std::string new_key_text() {
    Key const key = random_key();
    std::string text(2 * key.bytes.size() + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), key.bytes.data(), key.bytes.size());
    text.back() = '\n';
    return text;
}

Result<Done> write_key(std::string const& path) {
    File const file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (file.fd < 0) {
        if (errno == EEXIST)
            return Error{
                path +
                " exists already and is left alone: both nodes must have the same key, so copy it to the other node; to replace "
                "the cluster's key, remove the file first"};
        return Error{"the key file " + path + " can't be made: " + reason()};
    }
    (void)::fchmod(file.fd, 0600);  // whatever the umask took away
    if (auto const written = write_all(file.fd, new_key_text()); !written) {
        ::unlink(path.c_str());
        return Error{"the key file " + path + " can't be written: " + written.error()};
    }
    sync_directory_of(path);
    return Done{};
}

}  // namespace clusterd
