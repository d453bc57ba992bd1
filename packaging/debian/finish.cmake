# CPack runs this on the staged files, before it packs them: the changelogs, which must name the very version that is built.
set(doc ${CPACK_TEMPORARY_DIRECTORY}/usr/share/doc/clusterd)
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)   # of SOURCE_DATE_EPOCH, where that is set
file(WRITE ${doc}/changelog.Debian
"clusterd (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Built from version ${CPACK_PACKAGE_VERSION}; what is in it: changelog.gz.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${now}
")
configure_file(${CPACK_CHANGELOG} ${doc}/changelog COPYONLY)
execute_process(COMMAND gzip -9nf ${doc}/changelog ${doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
