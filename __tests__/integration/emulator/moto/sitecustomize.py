# Python runs this before moto_server. The emulator sees a URL as Werkzeug decodes it (an IRI), and checks signatures
# against that, so a request with a %2F in its query, as in each of restic's listings, fails. Here a URL stays as it was
# sent and signed, and is decoded once, where its parts are read.
import werkzeug.sansio.utils

werkzeug.sansio.utils.uri_to_iri = lambda uri: uri
