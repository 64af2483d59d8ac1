# Python runs this before moto_server. To the emulator a URL is what Werkzeug decodes of it (an IRI), and it checks
# signatures against that: a request whose query has a %2F, as each listing of restic's has, was never signed. Here a
# URL stays as it was sent and signed, and is decoded once, where its parts are read.
import werkzeug.sansio.utils

werkzeug.sansio.utils.uri_to_iri = lambda uri: uri
