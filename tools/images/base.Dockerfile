# The base of our images where no registry can be reached: a Debian root of three packages, and the npm package's Node.js.
FROM scratch
ADD root.tar /
COPY passwd group nsswitch.conf /etc/
COPY node /usr/local/bin/node
