# certs.sh - certificates for tests, made by openssl in $T_DIR.
# shellcheck shell=sh
#
#   ca NAME                              a CA: NAME.crt, NAME.key
#   cert NAME CA SUBJECT [DAYS] [SAN]    NAME.crt and NAME.key (0600) of that CA
#   as NAME CA CMD...                    with that certificate, trusting that CA
#   tls NAME CA                          --set arguments for a server with these

t_ssl() { # says nothing unless it fails
	openssl "$@" >"$T_DIR/openssl.log" 2>&1 || {
		result 1 "openssl $1"
		diag <"$T_DIR/openssl.log"
		exit 1
	}
}

ca() {
	t_ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=$1" -keyout "$T_DIR/$1.key" -out "$T_DIR/$1.crt"
}

cert() {
	printf 'subjectAltName=%s\n' "${5:-DNS:$1}" >"$T_DIR/$1.ext"
	t_ssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "$3" -keyout "$T_DIR/$1.key" -out "$T_DIR/$1.csr"
	t_ssl x509 -req -in "$T_DIR/$1.csr" -CA "$T_DIR/$2.crt" -CAkey "$T_DIR/$2.key" \
		-CAcreateserial -days "${4:-2}" -extfile "$T_DIR/$1.ext" -out "$T_DIR/$1.crt"
	chmod 0600 "$T_DIR/$1.key"
}

as() {
	t_as=$1 t_ca=$2
	shift 2
	AMCTL_TLS_CERT=$T_DIR/$t_as.crt AMCTL_TLS_KEY=$T_DIR/$t_as.key AMCTL_TLS_CA=$T_DIR/$t_ca.crt "$@"
}

tls() {
	echo "Security.TLSCert=$T_DIR/$1.crt Security.TLSKey=$T_DIR/$1.key Security.TLSClientCA=$T_DIR/$2.crt"
}
