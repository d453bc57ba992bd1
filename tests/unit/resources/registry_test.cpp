// Every type of the configuration's table has a driver, and what isn't a type isn't taken for one.
#include "config/types.hpp"
#include "tests/unit/resources/fake_guard.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

TEST(DriverRegistry, EveryTypeOfTheTableHasADriver) {
    AddressGuard guard;
    GuardEvents events;
    for (TypeInfo const& type : resource_types()) {
        ResourceSpec r;
        r.name = "r";
        r.type = type.name;
        EXPECT_TRUE(make_driver(r, {.guard = guard, .events = events, .changed = [](DriverOutcome) {}})) << type.name;
    }
    ResourceSpec r;
    r.name = "r";
    r.type = "teapot";
    DriverOutcome const started =
        make_driver(r, {.guard = guard, .events = events, .changed = [](DriverOutcome) {}})->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_NE(started.message.find("teapot"), std::string::npos);
}

}  // namespace
}  // namespace clusterd
