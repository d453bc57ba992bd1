// What is written for file servers and read from their programs.
#include "resources/nfs_words.hpp"
#include "resources/samba_words.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

TEST(SambaWords, ASectionSaysWhatTheAttributesSay) {
    EXPECT_EQ(samba_section({{"protocol", "smb"}, {"path", "/srv/docs"}, {"read-only", "no"}, {"browseable", "yes"}, {"guest", "no"}}, "docs"),
              "# resource docs\n[docs]\n\tpath = /srv/docs\n\tread only = no\n\tbrowseable = yes\n\tguest ok = no\n");
    EXPECT_EQ(samba_section({{"protocol", "smb"}, {"path", "/srv/docs"}, {"share", "All docs"}, {"read-only", "yes"}, {"browseable", "no"}, {"guest", "yes"}, {"comment", "Of all"},
                             {"valid-users", "anna @office"}, {"options", "create mask = 0640; veto files = /*.tmp/"}},
                            "docs"),
              "# resource docs\n[All docs]\n\tpath = /srv/docs\n\tread only = yes\n\tbrowseable = no\n\tguest ok = yes\n\tcomment = Of all\n\tvalid users = anna @office\n"
              "\tcreate mask = 0640\n\tveto files = /*.tmp/\n");
    std::string const file = samba_include_file({"[a]\n", "[b]\n"});
    EXPECT_TRUE(file.starts_with("# The cluster's shares"));
    EXPECT_TRUE(file.ends_with("\n[a]\n[b]\n[global]\n")) << file;
}

TEST(SambaWords, TestparmsSectionIsRead) {
    std::string const output = "Load smb config files from /etc/samba/smb.conf\nUnknown parameter encountered: \"creat mask\"\nIgnoring unknown parameter\nLoaded services file OK.\n"
                               "[global]\n\tpath = /wrong\n\n[Docs]\n\tguest ok = Yes\n\tpath = /srv/docs\n[more]\n\tpath = /other\n";
    auto const section = testparm_section(output, "docs");
    ASSERT_TRUE(section);
    EXPECT_EQ(*section, (std::map<std::string, std::string>{{"guestok", "Yes"}, {"path", "/srv/docs"}}));
    EXPECT_FALSE(testparm_section(output, "doc"));
    EXPECT_FALSE(testparm_section("Unknown section docs\n", "docs"));
    EXPECT_EQ(testparm_unknown_parameter(output), "creat mask");
    EXPECT_EQ(testparm_unknown_parameter("fine"), "");
}

TEST(SambaWords, SmbstatusTellsASharesSessions) {
    std::string const output =
        "\nService      pid     Machine       Connected at                     Encryption   Signing     \n"
        "---------------------------------------------------------------------------------------------\n"
        "docs         30      10.0.0.9      Fri Nov 27 07:57:42 2026 UTC     -            -           \n"
        "docs 2       31      10.0.0.9      Fri Nov 27 07:57:42 2026 UTC     -            -           \n"
        "Docs         32      10.0.0.9      Fri Nov 27 07:57:42 2026 UTC     -            -           \n"
        "docs         30      10.0.0.9      Fri Nov 27 07:57:43 2026 UTC     -            -           \n"
        "IPC$         33      10.0.0.9      Fri Nov 27 07:57:42 2026 UTC     -            -           \n";
    EXPECT_EQ(smbstatus_sessions(output, "docs"), (std::vector<int>{30, 32}));  // and not process 2
    EXPECT_EQ(smbstatus_sessions(output, "docs 2"), (std::vector<int>{31}));
    EXPECT_EQ(smbstatus_sessions(output, "doc"), std::vector<int>{});
    EXPECT_EQ(smbstatus_sessions("docs 99999999999999999999\ndocs 1\ndocs", "docs"), std::vector<int>{});
    EXPECT_EQ(smbstatus_sessions("docs x 31 10.0.0.9", "docs"), std::vector<int>{});
    EXPECT_EQ(pong_pid("PONG from pid 14\n"), 14);
    EXPECT_EQ(pong_pid("Can't find pid for destination 'smbd'\n"), 0);
    EXPECT_FALSE(has_no_reply("Can't find pid for destination 'smbd'\n"));
    EXPECT_TRUE(has_no_reply("No replies received\n"));
}

TEST(NfsWords, GaneshasBlock) {
    EXPECT_EQ(ganesha_export_block({{"protocol", "nfs"}, {"path", "/srv/media"}, {"export-id", "77"}, {"clients", "*"}, {"squash", "root"}, {"read-only", "no"}}, "media"),
              "# resource media, written by clusterd when it adds the export\nEXPORT {\n\tExport_Id = 77;\n\tPath = \"/srv/media\";\n\tPseudo = \"/media\";\n\tFilesystem_Id = 77.77;\n"
              "\tSquash = Root_Squash;\n\tAccess_Type = RW;\n\tFSAL { Name = VFS; }\n}\n");
    std::string const limited = ganesha_export_block(
        {{"protocol", "nfs"}, {"path", "/srv/media"}, {"export-id", "77"}, {"clients", "10.0.0.0/24  *.example.com"}, {"squash", "none"}, {"read-only", "yes"}, {"options", "SecType = krb5"}}, "media");
    EXPECT_NE(limited.find("\tAccess_Type = None;\n\tCLIENT { Clients = 10.0.0.0/24, *.example.com; Access_Type = RO; }\n"), std::string::npos) << limited;
    EXPECT_NE(limited.find("\tSquash = No_Root_Squash;\n\tSecType = krb5;\n"), std::string::npos) << limited;
}

TEST(NfsWords, ExportfsGetsACommandForEachClient) {
    using Commands = std::vector<std::vector<std::string>>;
    EXPECT_EQ(exportfs_commands({{"path", "/srv/m"}, {"server", "kernel"}, {"export-id", "7"}}, "m"), (Commands{{"exportfs", "-o", "rw,fsid=7,root_squash", "*:/srv/m"}}));
    EXPECT_EQ(exportfs_commands({{"path", "/srv/m"}, {"export-id", "7"}, {"clients", "10.0.0.0/24 fd00::/64 fd00::7"}, {"read-only", "yes"}, {"squash", "all"}, {"options", "sync,sec=krb5p"}}, "m"),
              (Commands{{"exportfs", "-o", "ro,fsid=7,all_squash,sync,sec=krb5p", "10.0.0.0/24:/srv/m"},
                        {"exportfs", "-o", "ro,fsid=7,all_squash,sync,sec=krb5p", "[fd00::]/64:/srv/m"},
                        {"exportfs", "-o", "ro,fsid=7,all_squash,sync,sec=krb5p", "[fd00::7]:/srv/m"}}));
    EXPECT_EQ(unexportfs_command({"fd00::/64", "/srv/m"}), (std::vector<std::string>{"exportfs", "-u", "[fd00::]/64:/srv/m"}));
}

TEST(NfsWords, EtabIsRead) {
    EXPECT_EQ(read_etab("/srv/m\t10.0.0.0/24(rw,sync)\n/srv/two\\040words\t*(ro)\nrubbish\n/srv/x\n\\04\t*(x)\n/srv/\\1\tfd00::/64(rw)"),
              (std::vector<KernelExport>{{"10.0.0.0/24", "/srv/m"}, {"*", "/srv/two words"}, {"fd00::/64", "/srv/\\1"}}));
}

}  // namespace
}  // namespace clusterd
