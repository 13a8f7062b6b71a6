// libcraftbundle is compiled with hidden visibility and exports what its public headers declare:
// each of them opens the namespace with
//
//   namespace CRAFTBUNDLE_API craftbundle {
#pragma once

#define CRAFTBUNDLE_API [[gnu::visibility("default")]]
