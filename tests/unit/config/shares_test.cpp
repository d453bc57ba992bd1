// <file-share>: names, options, export ids, and what `check` warns of.
#include "config/shares.hpp"
#include "files.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

using test::told;

std::string warned(std::string const& resources) {
    return told(parse_config(test::group(resources), "f"));
}

TEST(Shares, OptionsOfSambaAreNamesAndValues) {
    auto const parsed = parse_smb_options(" veto files = /*.tmp/ ; create mask=0640;vfs objects = recycle;; recycle:keeptree = yes ");
    ASSERT_TRUE(parsed) << parsed.error();
    EXPECT_EQ(*parsed, (ShareOptions{{"veto files", "/*.tmp/"}, {"create mask", "0640"}, {"vfs objects", "recycle"}, {"recycle:keeptree", "yes"}}));
    EXPECT_TRUE(parse_smb_options("")->empty());
    for (char const* bad : {"read only", "= yes", "x =", "[global]", "a\nb = c"}) EXPECT_FALSE(parse_smb_options(bad)) << bad;
    EXPECT_EQ(parse_smb_options("Guest OK = yes").error(), "Guest OK is said by the attribute 'guest'");
    EXPECT_EQ(parse_smb_options("config file = /x").error(), "config file is the cluster's own matter");
}

TEST(Shares, OptionsOfGaneshaHaveNoBlocks) {
    EXPECT_EQ(*parse_ganesha_options("SecType = krb5p; Transports = TCP"), (ShareOptions{{"SecType", "krb5p"}, {"Transports", "TCP"}}));
    EXPECT_FALSE(parse_ganesha_options("FSAL { Name = VFS; }"));
    EXPECT_FALSE(parse_ganesha_options("Export_Id = 3"));
    EXPECT_FALSE(parse_ganesha_options("Two Words = 3"));
}

TEST(Shares, AreCalledAsClientsCallThem) {
    EXPECT_EQ(share_name({{"protocol", "smb"}}, "web-docs"), "web-docs");
    EXPECT_EQ(share_name({{"protocol", "smb"}, {"share", "Docs of all"}}, "web-docs"), "Docs of all");
    EXPECT_EQ(share_name({{"protocol", "nfs"}}, "media"), "/media");
    EXPECT_EQ(share_name({{"protocol", "nfs"}, {"share", "/srv/media"}}, "media"), "/srv/media");
    EXPECT_EQ(share_name({{"protocol", "nfs"}, {"server", "kernel"}, {"path", "/srv/x"}}, "media"), "/srv/x");
    EXPECT_EQ(smb_folded("Docs"), "docs");
}

TEST(Shares, AnExportIdIsMadeOfTheName) {
    int const id = export_id({}, "media");
    EXPECT_EQ(id, export_id({}, "media"));
    EXPECT_NE(id, export_id({}, "medib"));
    EXPECT_EQ(export_id({{"export-id", "77"}}, "media"), 77);
    for (char const* name : {"a", "media", "exports-of-the-second-floor"}) {
        EXPECT_GE(export_id({}, name), 1024);
        EXPECT_LE(export_id({}, name), 65535);
    }
}

TEST(Shares, APathLiesInADirectory) {
    EXPECT_TRUE(lies_in("/srv/data/docs", "/srv/data"));
    EXPECT_TRUE(lies_in("/srv/data", "/srv/data/"));
    EXPECT_FALSE(lies_in("/srv/database", "/srv/data"));
    EXPECT_FALSE(lies_in("/srv", "/srv/data"));
}

TEST(Shares, WhatCouldEndALineGetsNowhere) {
    for (std::string const attribute : {"path", "share", "comment", "valid-users", "options"}) {
        EXPECT_TRUE(why_no_share({{"protocol", "smb"}, {attribute, "/a\n[global]"}}, attribute)) << attribute;
        EXPECT_TRUE(why_no_share({{"protocol", "smb"}, {attribute, "/a\\"}}, attribute)) << attribute;
    }
    for (std::string const attribute : {"path", "share", "clients", "options"})
        EXPECT_TRUE(why_no_share({{"protocol", "nfs"}, {"server", "ganesha"}, {attribute, "/a\"; }\n"}}, attribute)) << attribute;
    EXPECT_TRUE(why_no_share({{"protocol", "smb"}, {"path", "/srv/%U"}}, "path"));
    EXPECT_TRUE(why_no_share({{"protocol", "nfs"}, {"server", "kernel"}, {"options", "rw) *(rw"}}, "options"));
    EXPECT_FALSE(why_no_share({{"protocol", "nfs"}, {"clients", "10.0.0.0/24 fd00::/64 *.example.com @office 10.0.0.7"}}, "clients"));
    for (char const* bad : {"10.0.0.0/x", "10.0.0.0/129", "a/24", "x(rw)", "a,b", "a;b"})
        EXPECT_TRUE(why_no_share({{"protocol", "nfs"}, {"clients", bad}}, "clients")) << bad;
}

TEST(Shares, CheckWarnsOfOneThatNothingEnds) {
    std::string const fs = "<filesystem name='fs' device='/dev/sdb' mount='/srv' type='ext4' protection='permit'/>";
    std::string const ip = "<ip-address name='ip' address='10.0.0.100/24' interface='eth0'/>";
    std::string const share = "<file-share name='s' protocol='smb' path='/srv/docs' depends='";
    EXPECT_EQ(warned(fs + ip + share + "fs'/>"), "");
    EXPECT_EQ(warned(fs + ip + "<dummy name='d' depends='fs'/>" + share + "d'/>"), "");
    EXPECT_NE(warned(fs + ip + share + "ip'/>").find("it depends on no filesystem that /srv/docs lies on"), std::string::npos);
    EXPECT_NE(warned(fs + share + "fs'/>").find("its group has no ip-address"), std::string::npos);
    EXPECT_NE(warned(fs + ip + "<file-share name='s' protocol='smb' path='/srv2/docs' depends='fs'/>").find("it depends on no filesystem"), std::string::npos);
}

}  // namespace
}  // namespace clusterd
