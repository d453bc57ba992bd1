// A value, or why there is none. For what comes from outside and may be wrong; bugs are asserts.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace clusterd {

struct Error {
    std::string message;  // names the thing, what was expected and what to do next
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}
    explicit operator bool() const { return v_.index() == 0; }
    T& operator*() { return std::get<0>(v_); }
    T const& operator*() const { return std::get<0>(v_); }
    T* operator->() { return &std::get<0>(v_); }
    T const* operator->() const { return &std::get<0>(v_); }
    std::string const& error() const { return std::get<1>(v_).message; }

private:
    std::variant<T, Error> v_;
};

struct Done {};  // Result<Done>: it worked

}  // namespace clusterd
