"""Parties that host their four folders themselves: on their SFTP server, or as a folder of this machine."""
