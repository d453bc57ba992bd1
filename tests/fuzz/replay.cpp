// Plays files and folders of inputs through a fuzz target, as a test that needs no fuzzer: each as it is, then cut short and with
// single bytes changed. Usage: replay_NAME PATH... A path that isn't there holds nothing. Exit 1: there was nothing at all to play.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

constexpr std::size_t changes = 400;  // of each input and kind: every place of a small one, spread over a large one

// In a buffer of exactly its size, so that a sanitizer sees a read beyond it.
void play(std::string const& input) {
    std::vector<std::uint8_t> const bytes(input.begin(), input.end());
    (void)LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void play_variations(std::string const& input) {
    play(input);
    std::size_t const step = std::max<std::size_t>(1, input.size() / changes);
    for (std::size_t at = 0; at < input.size(); at += step) {
        play(input.substr(0, at));
        std::string changed = input;
        for (char const flip : {'\x01', '\x80', '\xff'}) {
            changed[at] = static_cast<char>(input[at] ^ flip);
            play(changed);
        }
    }
}

void play_file(std::filesystem::path const& path, int& played) {
    std::ifstream in(path, std::ios::binary);
    std::string const input((std::istreambuf_iterator<char>(in)), {});
    std::printf("%s (%zu bytes)\n", path.c_str(), input.size());  // the last line before a crash names it
    std::fflush(stdout);
    play_variations(input);
    ++played;
}

}  // namespace

int main(int argc, char** argv) {
    int played = 0;
    for (int i = 1; i < argc; ++i) {
        std::filesystem::path const path = argv[i];
        if (std::filesystem::is_regular_file(path)) play_file(path, played);
        if (!std::filesystem::is_directory(path)) continue;
        std::vector<std::filesystem::path> files;
        for (auto const& entry : std::filesystem::directory_iterator(path))
            if (entry.is_regular_file()) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (auto const& file : files) play_file(file, played);
    }
    std::printf("%d inputs played\n", played);
    return played > 0 ? 0 : 1;
}
