"""The SFTP server that brokers send to: paramiko over a virtual tree."""
